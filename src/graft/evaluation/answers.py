"""What a model said of some images, as arrays and counts."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from graft.evaluation.metrics import Floats, Labels


class Answers(NamedTuple):
    """What a model said of N images.

    Attributes:
        class_names: the C classes.
        names: of the images.
        labels: `(N,)` true classes.
        probabilities: `(N, C)`, float64.
        scores: `(N, C)`, which rank the images for each class: `graft.evaluation.calibration.log_odds`.
        predicted: `(N,)`, the most probable class of each.
    """

    class_names: Sequence[str]
    names: Sequence[str]
    labels: Labels
    probabilities: Floats
    scores: Floats
    predicted: Labels


def confusion_of(answers: Answers) -> Labels:
    """`(C, C)` counts, rows being true classes."""
    classes = len(answers.class_names)
    counts: Labels = np.bincount(answers.labels * classes + answers.predicted, minlength=classes**2)
    return counts.reshape(classes, classes)
