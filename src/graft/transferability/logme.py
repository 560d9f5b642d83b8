"""LogME: the evidence of a Bayesian linear model of the labels given the features (arXiv:2102.11005)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from graft.transferability.arrays import Floats, labelled

# How far alpha/beta may leave FᵀF's largest eigenvalue, either way. Labels that the features give exactly ask
# for beta → ∞, features that say nothing for alpha → ∞: both are held here, so that each answer is finite.
SPAN = 1e12
# Points at which the evidence is looked at before the best is refined: it may have more than one maximum.
POINTS = 257
# Relative, of alpha/beta.
TOLERANCE = 1e-6


class Evidence(NamedTuple):
    """The largest evidence of one target, and where it is reached.

    Attributes:
        value: log p(y | F, α, β) / N.
        alpha: precision of the weights' prior.
        beta: precision of the noise.
    """

    value: float
    alpha: float
    beta: float


def logme(features: ArrayLike, labels: ArrayLike) -> float:
    """The mean over classes that have images of the largest log evidence an image.

    Each class is a target y ∈ {0, 1}ᴺ, without an intercept, as in the paper.

    Raises:
        ValueError: the shapes do not fit, or a feature is NaN or infinite.
    """
    matrix, places = labelled(features, labels)
    targets = np.eye(places.max() + 1)[:, places].T
    return float(np.mean([part.value for part in evidences(matrix, targets)]))


def evidences(features: Floats, targets: Floats) -> list[Evidence]:
    """For each of the targets `(N, C)` the largest evidence over α and β.

    With t = α/β the noise is known in closed form, β = N / q(t), where q(t) = yᵀ(I + FFᵀ/t)⁻¹y. So what is
    left to search is one number, and the maximum is the fixed point of the paper's iteration α = γ/‖m‖²,
    β = (N − γ)/‖y − Fm‖², which takes many steps where it is far off.
    """
    from scipy.optimize import minimize_scalar

    count = len(features)
    left, sizes, _ = np.linalg.svd(features, full_matrices=False)
    telling = sizes > sizes.max() * max(features.shape) * np.finfo(np.float64).eps
    left, values = left[:, telling], sizes[telling] ** 2
    inside = left.T @ targets
    outside = ((targets - left @ inside) ** 2).sum(0)
    # Where all features are zero any scale will do.
    largest = np.log(values.max()) if values.size else 0.0

    def profile(log_t: Floats, target: int) -> Floats:
        """For each t, log p(y | F) / N at the best β."""
        t = np.exp(log_t)[..., None]
        q = outside[target] + (inside[:, target] ** 2 * (t / (values + t))).sum(-1)
        spread = np.log1p(values / t).sum(-1) / count
        evidence: Floats = -0.5 * (np.log(2 * np.pi * q / count) + 1 + spread)
        return evidence

    grid = np.linspace(largest - np.log(SPAN), largest + np.log(SPAN), POINTS)
    best = []
    for target in range(targets.shape[1]):
        peak = int(profile(grid, target).argmax())
        bounds = grid[max(peak - 1, 0)], grid[min(peak + 1, POINTS - 1)]
        refined = minimize_scalar(
            lambda log_t, target=target: -float(profile(np.asarray(log_t), target)),
            bounds=bounds,
            method="bounded",
            options={"xatol": TOLERANCE},
        )
        log_t = max((grid[peak], float(refined.x)), key=lambda x: float(profile(np.asarray(x), target)))
        t = np.exp(log_t)
        q = outside[target] + float((inside[:, target] ** 2 * (t / (values + t))).sum())
        beta = count / q
        best.append(Evidence(float(profile(np.asarray(log_t), target)), float(beta * t), float(beta)))
    return best
