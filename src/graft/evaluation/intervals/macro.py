"""Intervals of means over classes: balanced accuracy, macro precision and macro F1."""

import numpy as np

from graft.evaluation.intervals.proportions import Interval, proportion_ends
from graft.evaluation.metrics import Floats, Labels

# A class with fewer images, or predicted less often, says too little of itself.
LEAST = 2


def macro_ends(confusion: Labels) -> dict[str, Interval]:
    """The intervals of `recall`, `precision` and `f1`, each a mean over the classes.

    A mean's variance by the delta method, as for macro F1 in Takahashi et al. (2022, Applied Intelligence 52,
    pp. 4961-4972), makes an effective number of images, n = m (1 − m) / variance; the interval is that of a
    proportion m of n images. Where few errors are seen, the classes that have none seem to have no variance
    at all; so the variance is at least the one that the classes would have if they shared all errors evenly.

    None where a class has fewer than two images, or for precision and F1 is predicted less than twice.

    Args:
        confusion: `(C, C)` counts, rows being true classes.
    """
    counts = np.asarray(confusion, np.float64)
    support, predicted = counts.sum(1), counts.sum(0)
    if len(counts) < 2 or support.min() < LEAST:
        return dict.fromkeys(("recall", "precision", "f1"))
    # Shrunk a little, so that there is a variance where nothing is wrong.
    accuracy = (np.trace(counts) + 0.5) / (counts.sum() + 1)
    even = np.outer(support, np.full(len(counts), (1 - accuracy) / (len(counts) - 1)))
    np.fill_diagonal(even, support * accuracy)
    seen, shared = _moments(counts), _moments(even)
    ends: dict[str, Interval] = {}
    for key, (value, variance) in seen.items():
        if key != "recall" and predicted.min() < LEAST:
            ends[key] = None
            continue
        images = shared[key][0] * (1 - shared[key][0]) / shared[key][1]
        if variance > 0 and 0 < value < 1:
            images = min(images, value * (1 - value) / variance)
        low, high = proportion_ends(value * images, images)
        ends[key] = float(low), float(high)
    return ends


def _moments(counts: Floats) -> dict[str, tuple[float, float]]:
    """The mean over classes and its variance, of recall, precision and F1."""
    hits, support, predicted = counts.diagonal(), counts.sum(1), np.maximum(counts.sum(0), 1e-9)
    classes, right = len(counts), np.eye(len(counts))
    recall, precision = hits / support, hits / predicted
    both = support + predicted
    f1 = 2 * hits / both
    # How far an image in each cell of the matrix moves the mean.
    moves = {
        "recall": (right - recall[:, None]) / support[:, None],
        "precision": (right - precision) / predicted,
        "f1": right * (2 / both) - (f1 / both)[:, None] - f1 / both,
    }
    values = {"recall": recall, "precision": precision, "f1": f1}
    return {
        key: (float(values[key].mean()), float((counts * (move / classes) ** 2).sum()))
        for key, move in moves.items()
    }
