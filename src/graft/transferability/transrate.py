"""TransRate: how many more nats it takes to code the features without the labels (arXiv:2106.09362)."""

import numpy as np
from numpy.typing import ArrayLike

from graft.transferability.arrays import Floats, labelled

# The distortion that the code may have, eps below.
EPS = 1e-4


def transrate(features: ArrayLike, labels: ArrayLike) -> float:
    """R(Z) − Σ_c n_c/N · R(Z_c), where R(Z) = ½ log det(I + ZᵀZ/(N·eps)) and Z are the centred features.

    It does not change when the features are rotated, but does when they are scaled, so it compares backbones
    only as far as their features are of one size. With classes of one size it is the published score; the
    authors' code weighs classes alike whatever their size, with which it could be negative.

    Returns:
        At least 0, which a single class has.

    Raises:
        ValueError: the shapes do not fit, or a feature is NaN or infinite.
    """
    matrix, places = labelled(features, labels)
    centred = matrix - matrix.mean(0)
    classes = [centred[places == place] for place in range(places.max() + 1)]
    within = sum(len(members) / len(centred) * _rate(members) for members in classes)
    # Rounding may leave a difference between equal rates.
    return max(0.0, float(_rate(centred) - within))


def _rate(values: Floats) -> float:
    count, width = values.shape
    # The two matrices have the same determinant with the identity added; the smaller one is cheaper.
    gram = values.T @ values if width <= count else values @ values.T
    return float(np.linalg.slogdet(np.eye(len(gram)) + gram / (count * EPS))[1] / 2)
