"""How much a sample is like what a model learnt, whether it is none of its classes, which labels it may have.

A file of numpy alone that imports nothing of Graft: an exported model takes this text along as it stands.
Higher scores mean more like what is known. What the functions take is stored in a bundle: `settings`, plain
values, and `arrays`. `judge` is all that a model's user needs.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Samples whose distances are held at a time.
AT_A_TIME = 1024


def energy(logits: ArrayLike) -> NDArray[np.float64]:
    """`(N,)`: ln Σ_c exp z_c of logits `(N, C)`, the negative free energy at temperature 1.

    Liu et al. 2020, Energy-based Out-of-distribution Detection, arXiv:2010.03759, eq. 4.
    """
    z = np.asarray(logits, np.float64)
    top = z.max(1)
    total: NDArray[np.float64] = top + np.log(np.exp(z - top[:, None]).sum(1))
    return total


def max_softmax(logits: ArrayLike) -> NDArray[np.float64]:
    """`(N,)`: the largest probability of logits `(N, C)`.

    Hendrycks and Gimpel 2017, A Baseline for Detecting Misclassified and Out-of-Distribution Examples,
    arXiv:1610.02136.
    """
    return np.asarray(softmax(logits).max(1), np.float64)


def nearest(features: ArrayLike, bank: ArrayLike, neighbours: int) -> NDArray[np.float64]:
    """`(N,)`: minus the distance of features `(N, D)` to the k-th nearest of a bank `(M, D)`.

    Both are brought to length 1. Sun et al. 2022, Out-of-Distribution Detection with Deep Nearest Neighbors,
    arXiv:2204.06507, section 3.
    """
    rows, others = unit(features), unit(bank)
    place = min(neighbours, len(others)) - 1
    found = np.empty(len(rows))
    for start in range(0, len(rows), AT_A_TIME):
        # |a − b|² of vectors of length 1.
        squares = 2 - 2 * rows[start : start + AT_A_TIME] @ others.T
        kth = np.partition(squares, place, axis=1)[:, place]
        found[start : start + AT_A_TIME] = -np.sqrt(np.maximum(kth, 0))
    return found


def mahalanobis(features: ArrayLike, means: ArrayLike, whitening: ArrayLike) -> NDArray[np.float64]:
    """`(N,)`: minus the squared Mahalanobis distance of features `(N, D)` to the nearest class mean.

    −min_c (x − μ_c)ᵀ Σ⁻¹ (x − μ_c), the covariance being that of all classes about their own means: Lee et
    al. 2018, A Simple Unified Framework for Detecting Out-of-Distribution Samples, arXiv:1807.03888, eq. 2.

    Args:
        features: `(N, D)`.
        means: `(C, D)` whitened, that is μ W.
        whitening: `(D, D)`, W with W Wᵀ = Σ⁻¹.
    """
    white = np.asarray(features, np.float64) @ np.asarray(whitening, np.float64)
    centres = np.asarray(means, np.float64)
    closest = np.full(len(white), np.inf)
    for centre in centres:
        closest = np.minimum(closest, ((white - centre) ** 2).sum(1))
    return -closest


def known_scores(
    features: ArrayLike, logits: ArrayLike, settings: Mapping[str, Any], arrays: Mapping[str, ArrayLike]
) -> NDArray[np.float64]:
    """`(N,)`: by the score that the settings name, how much samples are like what the model learnt.

    Args:
        features: `(N, D)`, what the backbone gives.
        logits: `(N, C)`, what the head makes of them.
        settings: `score` is one of `energy`, `knn`, `mahalanobis`; with `knn` also `neighbours`.
        arrays: with `knn` the `bank`, with `mahalanobis` `means` and `whitening`.
    """
    if settings["score"] == "energy":
        return energy(logits)
    if settings["score"] == "knn":
        return nearest(features, arrays["bank"], settings["neighbours"])
    if settings["score"] == "mahalanobis":
        return mahalanobis(features, arrays["means"], arrays["whitening"])
    raise ValueError(f"there is no score {settings['score']}")


def label_oddness(probabilities: ArrayLike) -> NDArray[np.float64]:
    """`(N, C)`: how odd each label would be; 0 for the most probable one, else 1 − p.

    It is LAC's score (Sadinle, Lei and Wasserman 2019, Least Ambiguous Set-Valued Classifiers, JASA 114,
    arXiv:1609.00451) but for the most probable label, which belongs to every set. Since the rule is part of
    the score that the limit is fitted on, and none that is added afterwards, sets that are never empty cover
    no more than they are asked to, unless the most probable label alone is right more often.
    """
    p = np.asarray(probabilities, np.float64)
    odd: NDArray[np.float64] = 1 - p
    odd[np.arange(len(p)), p.argmax(1)] = 0
    return odd


def label_sets(probabilities: ArrayLike, limit: float) -> NDArray[np.bool_]:
    """`(N, C)`: the labels whose `label_oddness` is at most the limit; never none."""
    within: NDArray[np.bool_] = label_oddness(probabilities) <= limit
    return within


def softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities `(N, C)` of logits `(N, C)` that are divided by the temperature."""
    z = np.asarray(logits, np.float64) / temperature
    powers = np.exp(z - z.max(1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
    return shares


def unit(features: ArrayLike) -> NDArray[np.float64]:
    """Features `(N, D)` brought to length 1; what is 0 stays 0."""
    rows = np.asarray(features, np.float64)
    lengths = np.sqrt((rows**2).sum(1, keepdims=True))
    scaled: NDArray[np.float64] = rows / np.where(lengths > 0, lengths, 1)
    return scaled


def none_of_these(scores: ArrayLike, threshold: float | None) -> NDArray[np.bool_] | None:
    """`(N,)`: whether samples are none of the classes, their scores being below the threshold.

    None where there is no threshold, which too few samples were there to set.
    """
    return None if threshold is None else np.asarray(scores, np.float64) < threshold


def judge(
    features: ArrayLike, logits: ArrayLike, settings: Mapping[str, Any], arrays: Mapping[str, ArrayLike]
) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None, NDArray[np.bool_]]:
    """What a bundle says of N samples beside their probabilities; arguments as those of `known_scores`.

    The settings also have `threshold`, `temperature` and `limit`.

    Returns:
        `known` `(N,)`; `none_of_these` `(N,)` or None; and `(N, C)` which labels are in each sample's set.
    """
    scores = known_scores(features, logits, settings, arrays)
    return scores, *judge_scores(scores, logits, settings)


def judge_scores(
    scores: ArrayLike, logits: ArrayLike, settings: Mapping[str, Any]
) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_]]:
    """As `judge`, of samples whose `known_scores` `(N,)` are there already."""
    sets = label_sets(softmax(logits, settings["temperature"]), settings["limit"])
    return none_of_these(scores, settings["threshold"]), sets
