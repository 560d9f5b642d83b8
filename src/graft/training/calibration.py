"""Temperature scaling: one number, fitted on validation images, that makes confidences mean what they say."""

import numpy as np
import torch
from torch import Tensor

# Of the logarithm's search; a temperature of 100 leaves little but guessing.
LIMITS = (0.01, 100.0)


def probabilities_of(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """softmax(z / T) of logits `(N, C)`, in their precision. T > 0 changes no order, and so no prediction."""
    return torch.softmax(logits / temperature, dim=1)


def fit_temperature(logits: Tensor, labels: Tensor) -> float | None:
    """The T that makes the cross-entropy of z / T least (Guo et al. 2017, arXiv:1706.04599, section 4.2).

    In 1/T that loss is convex, so there is one minimum at most. None where every image is right: the loss
    then only falls as T goes to 0, and no T is best.

    Args:
        logits: `(N, C)` of validation images, N > 0; never of those that a number is reported of.
        labels: `(N,)`.
    """
    from scipy.optimize import minimize_scalar

    z = logits.double().numpy()
    own = z[np.arange(len(z)), labels.numpy()]
    if (own == z.max(1)).all():
        return None

    def loss(log_temperature: float) -> float:
        scaled = z / np.exp(log_temperature)
        top = scaled.max(1)
        total = np.log(np.exp(scaled - top[:, None]).sum(1)) + top
        return float((total - own / np.exp(log_temperature)).mean())

    found = minimize_scalar(loss, bounds=np.log(LIMITS), method="bounded", options={"xatol": 1e-8})
    return float(np.exp(found.x))
