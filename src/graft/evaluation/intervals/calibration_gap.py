"""The interval of the expected calibration error."""

import numpy as np

from graft.evaluation.intervals.proportions import Interval
from graft.evaluation.metrics import Floats, Labels, reliability

# Of fewer images, or with fewer wrong or right, a bin's accuracy is far from normal.
LEAST_IMAGES, LEAST_ERRORS = 100, 20
# 97 % of a normal distribution rather than 95, since the gaps' pattern is itself a guess.
LIKELY = 2.17
# How many times the gaps that were seen the true ones may be.
TIMES = np.linspace(0, 4, 401)[:, None]


def calibration_ends(labels: Labels, probabilities: Floats, predicted: Labels) -> Interval:
    """The interval of `expected_calibration_error`, which is biased upwards, by inverting a test.

    Suppose that the true gaps of confidence and accuracy are t times those seen. The error that is then to be
    expected of so many images is known, bias and variance: a sum over bins of |normal|. All t that make the
    error that was seen a likely one are in the interval. So a calibrated model's interval begins at 0.

    A bin's gap is first shrunk towards 0 by the part that may be chance. Else bins of few images, whose gaps
    are mostly chance, would pass for biased and leave too little of the error's own bias.

    None with fewer than `LEAST_IMAGES` images, or with fewer than `LEAST_ERRORS` wrong, or right. Arguments
    as those of `graft.evaluation.metrics.measure`.
    """
    from scipy.special import ndtr

    right = int((labels == predicted).sum())
    if len(labels) < LEAST_IMAGES or min(right, len(labels) - right) < LEAST_ERRORS:
        return None
    bins = reliability(labels, probabilities, predicted)
    filled = bins.images > 0
    images, accuracy = bins.images[filled], bins.accuracy[filled]
    # A mean of ones may round to more than 1.
    confidence = np.minimum(bins.confidence[filled], 1)
    share = images / len(labels)
    smooth = (accuracy * images + confidence) / (images + 1)
    chance = smooth * (1 - smooth) / images
    shrunk = (accuracy - confidence) ** 3 / ((accuracy - confidence) ** 2 + chance + 1e-12)
    truth = np.clip(confidence + TIMES * shrunk, 0, 1)
    # One image at the bin's confidence is added, so that a bin of few has a variance.
    smooth = (truth * images + confidence) / (images + 1)
    deviation = np.sqrt(smooth * (1 - smooth) * images) / len(labels)
    gap = np.abs(truth - confidence) * share
    # |normal| with mean `gap`: the folded normal distribution's mean and variance (Leone et al. 1961).
    ratio = gap / np.maximum(deviation, 1e-12)
    folded = deviation * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + gap * (1 - 2 * ndtr(-ratio))
    variance = (gap**2 + deviation**2 - folded**2).sum(1)
    # And how many images fall into each bin is chance too.
    variance += np.maximum((gap**2 / share).sum(1) - gap.sum(1) ** 2, 0) / len(labels)
    seen = (share * np.abs(accuracy - confidence)).sum()
    likely = np.abs(seen - folded.sum(1)) <= LIKELY * np.sqrt(variance)
    error = gap.sum(1)
    if not likely.any():
        return None
    return float(error[likely].min()), float(error[likely].max())
