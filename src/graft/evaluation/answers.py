"""What a model said of some images, as arrays, rows and counts."""

from collections.abc import Sequence
from typing import Any, NamedTuple

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


def prediction_rows(answers: Answers) -> list[dict[str, Any]]:
    """One row an image: path, predicted and true class, one probability a class."""
    classes, rows = answers.class_names, []
    lists = (answers.predicted.tolist(), answers.labels.tolist(), answers.probabilities.tolist())
    for name, predicted, label, probabilities in zip(answers.names, *lists, strict=True):
        row = {"path": name, "predicted": classes[predicted], "label": classes[label]}
        rows.append(row | {f"p_{cls}": p for cls, p in zip(classes, probabilities, strict=True)})
    return rows


def confusion_of(answers: Answers) -> Labels:
    """`(C, C)` counts, rows being true classes."""
    classes = len(answers.class_names)
    counts: Labels = np.bincount(answers.labels * classes + answers.predicted, minlength=classes**2)
    return counts.reshape(classes, classes)
