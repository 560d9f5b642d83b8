"""The checks that every score makes first: shapes that fit, finite numbers, double precision."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def labelled(values: ArrayLike, labels: ArrayLike) -> tuple[Floats, Labels]:
    """Values `(N, D)` as float64, and labels `(N,)` as the places of the class ids that occur, 0 to C − 1.

    A class id without an image is no class: whatever is divided by the number of its images would be NaN.

    Raises:
        ValueError: the shapes do not fit, there is no image, or a value is NaN or infinite.
    """
    matrix = np.asarray(values, np.float64)
    ids: NDArray[Any] = np.asarray(labels)
    if matrix.ndim != 2 or ids.ndim != 1 or len(matrix) != len(ids) or not matrix.size:
        raise ValueError(f"expected (N, D) and (N,), not {matrix.shape} and {ids.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("a value is NaN or infinite")
    return matrix, np.unique(ids, return_inverse=True)[1].astype(np.int64)


def source_probabilities(values: ArrayLike, labels: ArrayLike) -> tuple[Floats, Labels]:
    """As `labelled`, for probabilities `(N, S)`.

    Raises:
        ValueError: also, a row is no distribution; logits are not probabilities.
    """
    matrix, places = labelled(values, labels)
    if (matrix < 0).any() or not np.allclose(matrix.sum(1), 1, atol=1e-4):
        raise ValueError("expected probabilities: rows of numbers >= 0 that sum to 1, not logits")
    return matrix, places


def entropy(counts: Floats) -> float:
    """The entropy of a distribution that is given by counts, in nats."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
