"""The H-score: how much of the features' variance lies between the classes, in units of all of it."""

import numpy as np
from numpy.typing import ArrayLike

from graft.transferability.arrays import Floats, Labels, labelled


def h_score(features: ArrayLike, labels: ArrayLike) -> float:
    """tr(Σ_α⁻¹ (1 − α) Σ_z): the H-score with Ledoit and Wolf's shrinkage (arXiv:2110.06893).

    Σ_α = (1 − α) Σ_f + α σ² I, where σ² is the features' mean variance and α follows from the data. With as
    many features as images the plain score is C − 1 whatever the features are, noise too; this one is not.

    Args:
        features: `(N, D)`.
        labels: `(N,)` class ids.

    Returns:
        From 0 to C − 1, C being the classes that have images.

    Raises:
        ValueError: the shapes do not fit, or a feature is NaN or infinite.
    """
    from sklearn.covariance import ledoit_wolf

    found, places = labelled(features, labels)
    largest = np.abs(found).max() or 1.0
    # To a size at which nothing over- or underflows, which changes nothing else.
    centred = found / largest - (found / largest).mean(0)
    # Of constant features rounding alone is left.
    if np.abs(centred).max() <= _rounding(features):
        return 0.0
    centred /= np.sqrt((centred**2).mean())
    shrunk, alpha = ledoit_wolf(centred, assume_centered=True)
    means, weights = _between(centred, places)
    # tr(Σ_α⁻¹ MᵀM) without the inverse. The least squares are for what shrinkage left singular (α = 0).
    root = means * np.sqrt(weights)[:, None]
    try:
        solved = np.linalg.solve(shrunk, root.T)
    except np.linalg.LinAlgError:
        solved = np.linalg.lstsq(shrunk, root.T, rcond=None)[0]
    return float((1 - alpha) * (root.T * solved).sum())


def plain_h_score(features: ArrayLike, labels: ArrayLike, rcond: float | None = None) -> float:
    """tr(Σ_f⁺ Σ_z): the H-score as published (Bao et al., ICIP 2019), without shrinkage.

    Equal to the sum of the squared canonical correlations of features and one-hot labels, and computed as
    that: the features' own directions come from an SVD of the features, not of their covariance, which would
    square the ratio of the largest to the smallest and let rounding in.

    Args:
        features: `(N, D)`.
        labels: `(N,)` class ids.
        rcond: directions whose singular value is below this share of the largest are no directions; None:
            max(N, D) times the epsilon of the features' type, whose rounding is no variance either.

    Returns:
        From 0 to the rank of Σ_z, which is at most C − 1.

    Raises:
        ValueError: the shapes do not fit, or a feature is NaN or infinite.
    """
    found, places = labelled(features, labels)
    centred = found - found.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    limit = max(found.shape) * _rounding(features) if rcond is None else rcond
    # Against the features before they are centred: of constant ones rounding alone is left.
    kept = sizes > limit * np.linalg.norm(found)
    means, weights = _between(left[:, kept], places)
    return float(len(found) * (weights[:, None] * means**2).sum())


def _rounding(features: ArrayLike) -> float:
    """The relative spacing of the numbers that the features are given in."""
    kind = np.asarray(features).dtype
    return float(np.finfo(kind if kind.kind == "f" else np.float64).eps)


def _between(values: Floats, places: Labels) -> tuple[Floats, Floats]:
    """The mean of each class `(C, D)`, and its share of the images `(C,)`."""
    counts = np.bincount(places)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, places, values)
    return sums / counts[:, None], counts / len(places)
