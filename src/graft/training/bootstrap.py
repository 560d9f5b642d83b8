"""Bootstrap intervals of every metric: images drawn anew with replacement, all draws computed together.

`scipy.stats.bootstrap` would call scikit-learn's AUROC for each of 100 classes in each of 1,000 draws, which
for 10,000 images takes the better part of an hour, or hold all draws of all probabilities at once, 8 GB. Here
a draw is how often each image is in it, and a metric is made of sums over images with these as weights: 1 s.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graft.training.metrics import (
    BINS,
    OF_A_CLASS,
    Floats,
    Labels,
    bins_of,
    squared_distances,
    surprises,
)

RESAMPLES = 1000
# Draws that are computed together: so many that their weights, of single precision, stay near the processor.
_TOGETHER = 2_500_000
Interval = tuple[float, float] | None


class Resampled(NamedTuple):
    """Metrics of B draws; NaN where a draw does not define one.

    Attributes:
        whole: `accuracy` and so on, `(B,)` each.
        classes: `precision` and so on, `(B, C)` each.
    """

    whole: dict[str, Floats]
    classes: dict[str, Floats]


class Intervals(NamedTuple):
    """95 % intervals; None where no draw defines the metric.

    Attributes:
        whole: metric to interval.
        classes: metric to the interval of each class.
    """

    whole: dict[str, Interval]
    classes: dict[str, list[Interval]]


def intervals(
    labels: Labels, probabilities: Floats, predicted: Labels, resamples: int = RESAMPLES, seed: int = 0
) -> Intervals:
    """Percentile intervals (Efron 1979) of every metric of `graft.training.metrics`.

    They say what other images of the same kind would give for this model; what another training would give
    they do not know. The draws depend on N and the seed alone, so that two models tested on the same images
    are tested on the same draws. A draw that lacks a class says nothing of that class.

    Args:
        labels: `(N,)` true classes, N > 0.
        probabilities: `(N, C)`.
        predicted: `(N,)`.
        resamples: how many draws.
        seed: of the draws.
    """
    parts = [
        resampled(labels, probabilities, predicted, weights)
        for weights in draws(len(labels), resamples, seed)
    ]
    whole = {key: np.concatenate([part.whole[key] for part in parts]) for key in parts[0].whole}
    classes = {key: np.concatenate([part.classes[key] for part in parts]) for key in parts[0].classes}
    return Intervals(
        {key: _middle(values) for key, values in whole.items()},
        {key: [_middle(column) for column in values.T] for key, values in classes.items()},
    )


def draws(count: int, resamples: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """How often each image is in each draw, `(count, b)` at a time, `resamples` columns in all."""
    stream = np.random.default_rng(seed)
    step = max(1, _TOGETHER // count)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = stream.integers(count, size=(size, count)) + count * np.arange(size)[:, None]
        counted = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        yield np.ascontiguousarray(counted.T, dtype=np.float32)


def resampled(
    labels: Labels, probabilities: Floats, predicted: Labels, weights: NDArray[np.float32]
) -> Resampled:
    """Every metric of images that are in a draw several times or not at all.

    Args:
        labels: `(N,)`.
        probabilities: `(N, C)`.
        predicted: `(N,)`.
        weights: `(N, B)` whole numbers, how often each image is in each draw.
    """
    p = np.asarray(probabilities, np.float64)
    images, classes = p.shape
    total = weights.sum(0, dtype=np.float64)
    right = labels == predicted
    confidence = p[np.arange(images), predicted]

    support, guessed = _sums(labels, weights, classes), _sums(predicted, weights, classes)
    hits = _sums(np.where(right, labels, classes), weights, classes + 1)[:classes]
    gaps = _sums(bins_of(confidence), weights, BINS, right - confidence)
    with np.errstate(invalid="ignore", divide="ignore"):
        there = support > 0
        found = {
            "precision": np.where(there, hits / np.maximum(guessed, 1), np.nan),
            "recall": hits / support,
            "f1": np.where(there, 2 * hits / (support + guessed), np.nan),
        }
    ranked = [_ranking(labels == label, p[:, label], weights) for label in range(classes)]
    found |= {key: np.stack([row[place] for row in ranked]) for place, key in enumerate(OF_A_CLASS[3:])}
    mean = {key: _mean(values) for key, values in found.items()}
    whole = {
        "accuracy": hits.sum(0) / total,
        "balanced_accuracy": mean["recall"],
        **{f"{key}_macro": mean[key] for key in OF_A_CLASS[:3]},
        **{key: mean[key] for key in OF_A_CLASS[3:]},
        "log_loss": surprises(labels, p) @ weights / total,
        "brier": squared_distances(labels, p) @ weights / total,
        "ece": np.abs(gaps).sum(0) / total,
    }
    return Resampled(whole, {key: values.T for key, values in found.items()})


def _sums(
    group: Labels, weights: NDArray[np.float32], groups: int, values: Floats | None = None
) -> NDArray[np.float64]:
    """`(groups, B)`: the weights of each group's images, times their values if given."""
    from scipy.sparse import csr_matrix

    values = np.ones(len(group), np.float32) if values is None else values
    matrix = csr_matrix((values, (group, np.arange(len(group)))), shape=(groups, len(group)))
    # Counts are exact in single precision up to 2**24 images.
    sums: NDArray[np.float64] = (matrix @ weights).astype(np.float64)
    return sums


def _ranking(
    positive: NDArray[np.bool_], scores: Floats, weights: NDArray[np.float32]
) -> tuple[Floats, Floats]:
    """AUROC and average precision, `(B,)` each, of one class.

    Both are sums over the positives' distinct scores, and need of the negatives only how many lie between
    two of these and how many on each. Ties count half in the one; in the other all are above the threshold.
    """
    undefined = np.full(weights.shape[1], np.nan)
    steps = np.unique(scores[positive])
    n = len(steps)
    if not n:
        return undefined, undefined
    place = np.searchsorted(steps, scores, side="left")
    equal = steps[np.minimum(place, n - 1)] == scores
    bucket = np.where(positive, 2 * n + 1 + place, 2 * place + equal)
    sums = _sums(bucket, weights, 3 * n + 1)
    between, tied, own = sums[: 2 * n + 1 : 2], sums[1 : 2 * n : 2], sums[2 * n + 1 :]
    below = between[:-1].cumsum(0) + tied.cumsum(0) - tied
    positives, negatives = own.sum(0), between.sum(0) + tied.sum(0)
    above = own[::-1].cumsum(0)[::-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        auroc = (own * (below + tied / 2)).sum(0) / (positives * negatives)
        precision = above / np.maximum(above + negatives - below, 1)
        average = (own * precision).sum(0) / positives
    return auroc, average


def _mean(values: Floats) -> Floats:
    """`(B,)`: the mean of each column over what is defined in it; `values` is `(C, B)`."""
    there = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(there, values, 0).sum(0) / there.sum(0)
    return mean


def _middle(values: Floats) -> Interval:
    """The middle 95 % of what is defined."""
    there = values[np.isfinite(values)]
    if not len(there):
        return None
    low, high = np.percentile(there, (2.5, 97.5))
    return float(low), float(high)
