"""Intervals of AUROC and average precision, of a class and of the mean over classes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graft.evaluation.intervals.proportions import Interval, proportion_ends
from graft.evaluation.intervals.skewed import LEAST_FREEDOM, hall_ends
from graft.evaluation.metrics import Floats, Labels

# Average precision of fewer images of a class is biased upwards by more than an interval makes good.
LEAST = {"auroc": 2, "average_precision": 25}
# Of a class that is rarer than this, AUROC too wants so many: `experiments/coverage`.
RARE, LEAST_OF_RARE = 0.05, 20


class Linear(NamedTuple):
    """A statistic and how far each image moves it.

    Attributes:
        value: of the statistic.
        influence: `(N,)`; its squares sum to the statistic's variance.
    """

    value: float
    influence: Floats


def ranking_ends(labels: Labels, scores: Floats) -> tuple[dict[str, Interval], dict[str, list[Interval]]]:
    """The intervals of `auroc` and `average_precision`: of the mean over the classes, and of each class.

    A value of 1 has none, for its images say nothing of how far below it the truth is; nor has a mean with
    such a class, nor a class with fewer images than `LEAST`, or a rare one with fewer than `LEAST_OF_RARE`.

    Args:
        labels: `(N,)` true classes.
        scores: `(N, C)` that rank the images for each class.
    """
    images, classes = scores.shape
    support = np.bincount(labels, minlength=classes)
    ends: dict[str, list[Interval]] = {key: [None] * classes for key in LEAST}
    means: dict[str, Interval] = dict.fromkeys(LEAST)
    known = np.flatnonzero(np.minimum(support, images - support) >= min(LEAST.values()))
    statistics = {label: class_statistics(labels == label, scores[:, label]) for label in known.tolist()}
    for key, least in LEAST.items():
        wanted = np.where(support < RARE * images, max(least, LEAST_OF_RARE), least)
        ranked = known[support[known] >= wanted[known]]
        if not len(ranked):
            continue
        values = np.array([statistics[label][key].value for label in ranked.tolist()])
        influence = np.stack([statistics[label][key].influence for label in ranked.tolist()])
        squares = influence**2
        in_class = np.where(labels == ranked[:, None], squares, 0.0).sum(1)
        two: Floats = np.stack([in_class, squares.sum(1) - in_class], axis=1)
        sizes = np.stack([support[ranked], images - support[ranked]], axis=1)
        for label, end in zip(ranked.tolist(), _ends(values, influence, two, sizes), strict=True):
            ends[key][label] = end
        if all(end is not None for end in ends[key]):
            mean = influence.mean(0)
            by_class = np.asarray(np.bincount(labels, mean**2, classes), np.float64)[None]
            (means[key],) = _ends(values.mean(keepdims=True), mean[None], by_class, support[None])
    return means, ends


def class_statistics(positive: NDArray[np.bool_], scores: Floats) -> dict[str, Linear]:
    """AUROC and average precision of one class, with the influence of each image.

    AUROC's are its placements (DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44, pp. 837-845). Average
    precision's are the derivative of the positives' precisions with respect to each image's weight.

    Args:
        positive: `(N,)`, which images are of the class: at least two, and not all but one.
        scores: `(N,)`.
    """
    # Images of one score are one step of the threshold, from the highest score down.
    steps, step = np.unique(-scores, return_inverse=True)
    hits = np.bincount(step, positive, len(steps))
    others = np.bincount(step, ~positive, len(steps))
    positives, negatives = hits.sum(), others.sum()
    hits_above, above = hits.cumsum(), (hits + others).cumsum()
    unbiased = np.where(positive, positives / (positives - 1), negatives / (negatives - 1)) ** 0.5

    beaten = 1 - (others.cumsum() - others / 2) / negatives
    beating = (hits_above - hits / 2) / positives
    auroc = float((hits * beaten).sum() / positives)
    placed = np.where(positive, (beaten[step] - auroc) / positives, (beating[step] - auroc) / negatives)

    precision = hits_above / above
    average = float((hits * precision).sum() / positives)
    gained = (hits / above)[::-1].cumsum()[::-1]
    lost = (hits * hits_above / above**2)[::-1].cumsum()[::-1]
    moved = (np.where(positive, precision[step] - average + gained[step], 0.0) - lost[step]) / positives
    return {
        "auroc": Linear(auroc, placed * unbiased),
        "average_precision": Linear(average, moved * unbiased),
    }


def _ends(values: Floats, influence: Floats, squares: Floats, sizes: Labels) -> list[Interval]:
    """For each of K statistics the wider, at each end, of two intervals.

    One is that of a proportion of as many images as have this variance, which is right near 0 and 1; its
    quantile is Student's with Welch and Satterthwaite's degrees of freedom, a group's variance being known no
    better than the group is large. The other allows for the skewness: a few images that are ranked badly make
    most of the variance, which is then known no better than there are such images, so that its degrees of
    freedom come from the fourth moments.

    Args:
        values: `(K,)`.
        influence: `(K, N)`.
        squares: `(K, G)` sums of squared influence over each of the groups that the images fall into.
        sizes: `(K, G)` of the groups.
    """
    from scipy.special import stdtrit

    variance = squares.sum(1)
    # Rounding leaves a value of 1 with influences of 1e-17.
    varies = (variance > 1e-20) & (values > 0) & (values < 1)
    variance = np.where(varies, variance, 1.0)
    welch = variance**2 / np.maximum((squares**2 / np.maximum(sizes - 1, 1)).sum(1), 1e-300)
    fourth = (influence**4).sum(1) - (squares**2 / np.maximum(sizes, 1)).sum(1)
    few = np.clip(
        2 * variance**2 / np.maximum(fourth, 1e-300), LEAST_FREEDOM, np.maximum(welch, LEAST_FREEDOM)
    )
    images = values * (1 - values) / variance
    low, high = proportion_ends(values * images, images, stdtrit(welch, 0.975))
    skew = (influence**3).sum(1) / variance**1.5
    low_skewed, high_skewed = hall_ends(values, variance**0.5, skew, stdtrit(few, 0.975))
    low, high = np.clip(np.minimum(low, low_skewed), 0, 1), np.clip(np.maximum(high, high_skewed), 0, 1)
    rows = zip(varies.tolist(), low.tolist(), high.tolist(), strict=True)
    return [(start, end) if defined else None for defined, start, end in rows]
