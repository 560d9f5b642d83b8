"""The H-score: how much of the features' variance lies between the classes, in units of all of it."""

import numpy as np
from numpy.typing import ArrayLike

from graft.transferability.arrays import Floats, Labels, labelled


def h_score(features: ArrayLike, labels: ArrayLike) -> float:
    """tr(Σ_α⁻¹ (1 − α) Σ_z): the H-score with Ledoit and Wolf's shrinkage (arXiv:2110.06893).

    Σ_α = (1 − α) Σ_f + α σ² I, where σ² is the features' mean variance and α follows from the data. With as
    many features as images the plain score is C − 1 whatever the features are, noise too; this one is not.

    Returns:
        From 0 to C − 1, C being the classes that have images.

    Raises:
        ValueError: the shapes do not fit, or a feature is NaN or infinite.
    """
    from sklearn.covariance import ledoit_wolf

    matrix, places = labelled(features, labels)
    largest = np.abs(matrix).max() or 1.0
    # Scaled so that nothing over- or underflows; the result stays the same.
    centred = matrix / largest - (matrix / largest).mean(0)
    # Of constant features only rounding is left.
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
