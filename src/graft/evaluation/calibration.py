"""Temperature scaling: one number, fitted on validation images, that makes confidences mean what they say."""

import numpy as np
import torch
from torch import Tensor

from graft.evaluation.metrics import Floats

# Of the logarithm's search; a temperature of 100 leaves little but guessing.
LIMITS = (0.01, 100.0)


def probabilities_of(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """softmax(z / T) of logits `(N, C)`, in their precision. T > 0 changes no order, and so no prediction."""
    return torch.softmax(logits / temperature, dim=1)


def log_odds(logits: Floats) -> Floats:
    """ln(p / (1 − p)) of the softmax of logits, `(N, C)`, in float64.

    It orders the images for a class as their probabilities do, and keeps apart those whose probabilities
    round to the same number: in single precision that begins 17 logits ahead, in double 37. Log-probabilities
    are logits too.
    """
    from scipy.special import logsumexp

    z = np.asarray(logits, np.float64)
    rows, top = np.arange(len(z)), z.argmax(1)
    total = logsumexp(z, axis=1, keepdims=True)
    without_top = z.copy()
    without_top[rows, top] = -np.inf
    with np.errstate(divide="ignore"):
        others = total + np.log1p(-np.exp(z - total))
    # Of the largest, 1 − p would be what rounding left; the others are summed without it.
    others[rows, top] = logsumexp(without_top, axis=1)
    odds: Floats = np.nan_to_num(z - others)
    return odds


def at_bound(temperature: float) -> bool:
    """Whether the search ended at one of `LIMITS`, where it did not find the best."""
    return any(abs(float(np.log(temperature / limit))) < 1e-3 for limit in LIMITS)


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
    of_label = z[np.arange(len(z)), labels.numpy()]
    if (of_label == z.max(1)).all():
        return None

    def loss(log_temperature: float) -> float:
        scaled = z / np.exp(log_temperature)
        top = scaled.max(1)
        total = np.log(np.exp(scaled - top[:, None]).sum(1)) + top
        return float((total - of_label / np.exp(log_temperature)).mean())

    minimum = minimize_scalar(loss, bounds=np.log(LIMITS), method="bounded", options={"xatol": 1e-8})
    return float(np.exp(minimum.x))
