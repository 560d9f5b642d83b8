"""What `none_of_these` goes by, fitted to samples that a model learnt from and to others that judge it."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graft.evaluation.metrics import Floats, Labels
from graft.evaluation.none_of_these import label_oddness, unit

Arrays = dict[str, NDArray[np.float64]]
# The names of the scores; the first is the default, by experiments/none-of-these.
SCORES = ("knn", "mahalanobis", "energy")
# Of samples that are known so many shall pass, and of sets so many shall hold the true label.
PASSES, COVERS = 0.95, 0.9
# The k of the k-th neighbour, where classes have so many samples.
NEIGHBOURS = 5
# Samples that a score remembers: so many, more where there are many classes, but never more than `MOST`.
ENOUGH, OF_A_CLASS, MOST = 1000, 10, 5000


def remembered(labels: Labels, classes: int, seed: int = 0) -> Labels:
    """The sorted places of samples that a score is fitted to: of each class about as many, drawn by a seed.

    All, where there are no more than the bound; else classes give in turn, rare ones all that they have.

    Args:
        labels: `(N,)`.
        classes: C.
        seed: of the draw, which moves no other random stream.
    """
    most = min(MOST, max(ENOUGH, OF_A_CLASS * classes))
    order = np.random.default_rng(seed).permutation(len(labels))
    turn = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        own = order[labels[order] == label]
        turn[own] = np.arange(len(own))
    taken = order[np.argsort(turn[order], kind="stable")][:most]
    return np.sort(taken)


def fit_score(score: str, features: ArrayLike, labels: Labels) -> tuple[Arrays, int | None]:
    """What a score remembers of samples that the model learnt from.

    Args:
        score: one of `SCORES`.
        features: `(N, D)`, N > 0.
        labels: `(N,)`.

    Returns:
        The arrays of `known_scores`, rounded as they are stored; and the neighbours of `knn`, which are no
        more than a usual class has samples.
    """
    rows = np.asarray(features, np.float64)
    if score == "energy":
        return {}, None
    present, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if score == "knn":
        return rounded({"bank": unit(rows)}), max(1, min(NEIGHBOURS, int(np.median(counts))))
    means = np.stack([rows[place == index].mean(0) for index in range(len(present))])
    whitening = _whitening(rows - means[place])
    return rounded({"means": means @ whitening, "whitening": whitening}), None


def _whitening(residuals: Floats) -> Floats:
    """`(D, D)`: W with W Wᵀ the inverse covariance of residuals `(N, D)`.

    The covariance is Ledoit and Wolf's (2004, Journal of Multivariate Analysis 88, pp. 365-411), which can be
    inverted where features are more than samples; with many samples it is the usual one.
    """
    from sklearn.covariance import ledoit_wolf

    covariance, _ = ledoit_wolf(residuals, assume_centered=True)
    if not (scale := float(np.trace(covariance) / len(covariance))) > 0:
        # No class has two samples that differ.
        return np.eye(len(covariance))
    # A hair of the mean variance more: features of which one follows from others leave none of their own.
    covariance = covariance + 1e-9 * scale * np.eye(len(covariance))
    factor: Floats = np.linalg.cholesky(np.linalg.inv(covariance))
    return factor


# How arrays lie in a file: half precision suffices for what has length 1.
PACKED_AS = {"bank": np.float16, "means": np.float32, "whitening": np.float32}


def packed(arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """Arrays with the digits that a file keeps of them."""
    return {key: np.ascontiguousarray(value.astype(PACKED_AS[key])) for key, value in arrays.items()}


def rounded(arrays: Mapping[str, NDArray[np.generic]]) -> Arrays:
    """Arrays as they are read back, in the double precision that is computed in."""
    return {key: value.astype(np.float64) for key, value in packed(arrays).items()}


def threshold_of(scores: ArrayLike, passes: float = PASSES) -> float | None:
    """The score below which a sample is none of the classes: a further known one passes by that probability.

    It is the k-th lowest of n scores with k = ⌊(n + 1)(1 − passes)⌋: a further score is as likely to have any
    rank among n + 1, so it is below the k-th with probability k / (n + 1) at most. None where k is 0, with
    fewer than 19 scores at 95 %: then no threshold keeps the promise.

    Args:
        scores: `(N,)` of samples that the score was not fitted to.
        passes: the probability.
    """
    ranked = np.sort(np.asarray(scores, np.float64))
    # Rounded, since 20 times 1 − 0.95 is a hair less than 1.
    rank = math.floor(round((len(ranked) + 1) * (1 - passes), 9))
    return float(ranked[rank - 1]) if rank else None


def limit_of(probabilities: ArrayLike, labels: Labels, covers: float = COVERS) -> float:
    """The `label_oddness` up to which labels belong to a set: it holds the true one by that probability.

    Split conformal prediction (Vovk, Gammerman and Shafer 2005; Papadopoulos et al. 2002): the k-th lowest
    oddness of n true labels, k = ⌈(n + 1) covers⌉. 1, by which every set has all labels, where k > n, with
    fewer than 9 samples at 90 %.

    Args:
        probabilities: `(N, C)` of samples that the model did not learn from.
        labels: `(N,)` true classes.
        covers: the probability.
    """
    odd = np.sort(label_oddness(probabilities)[np.arange(len(labels)), labels])
    rank = math.ceil(round((len(odd) + 1) * covers, 9))
    return float(odd[rank - 1]) if rank <= len(odd) else 1.0
