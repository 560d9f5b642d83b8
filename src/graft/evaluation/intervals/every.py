"""The interval of every metric of `graft.evaluation.metrics`, by the method that each has."""

from typing import NamedTuple

import numpy as np

from graft.evaluation.intervals.calibration_gap import calibration_ends
from graft.evaluation.intervals.macro import macro_ends
from graft.evaluation.intervals.proportions import Interval, f1_ends, proportion_ends
from graft.evaluation.intervals.rankings import ranking_ends
from graft.evaluation.intervals.skewed import mean_ends
from graft.evaluation.metrics import Floats, Labels, squared_distances, surprises


class Intervals(NamedTuple):
    """95 % intervals; None where there is none that would cover.

    Attributes:
        whole: metric to interval.
        classes: metric to the interval of each class.
    """

    whole: dict[str, Interval]
    classes: dict[str, list[Interval]]


def intervals(labels: Labels, probabilities: Floats, predicted: Labels, scores: Floats) -> Intervals:
    """The intervals of one test; `graft.evaluation.metrics.measure` has the arguments.

    The images are taken to be drawn independently of each other.
    """
    images, classes = probabilities.shape
    confusion = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    hits, support, guessed = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    errors = int(images - hits.sum())
    macro = macro_ends(confusion)
    means, ranked = ranking_ends(labels, scores)
    low, high = proportion_ends(hits.sum(), images)
    whole: dict[str, Interval] = {
        "accuracy": (float(low), float(high)),
        "balanced_accuracy": macro["recall"],
        **{f"{key}_macro": ends for key, ends in macro.items()},
        **means,
        "log_loss": mean_ends(surprises(labels, probabilities), errors),
        "brier": mean_ends(squared_distances(labels, probabilities), errors),
        "ece": calibration_ends(labels, probabilities, predicted),
    }
    # A class that is never predicted has no image that could say how precise it is.
    present, predicted_too = support > 0, (support > 0) & (guessed > 0)
    return Intervals(
        whole,
        {
            "precision": _where(predicted_too, *proportion_ends(hits, guessed)),
            "recall": _where(present, *proportion_ends(hits, support)),
            "f1": _where(present, *f1_ends(hits, support, guessed)),
            **ranked,
        },
    )


def _where(defined: Labels, low: Floats, high: Floats) -> list[Interval]:
    ends = zip(defined.tolist(), low.tolist(), high.tolist(), strict=True)
    return [(start, end) if known else None for known, start, end in ends]
