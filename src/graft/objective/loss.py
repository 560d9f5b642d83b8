"""The classification loss of a training batch, for labels that are classes and for mixed ones."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def classification_loss(
    logits: Tensor, target: Tensor, weights: Tensor | None = None, smoothing: float = 0.0
) -> tuple[Tensor, Tensor | None]:
    """Cross-entropy, and what its mean was divided by.

    With mixed labels it is the same mixture of the single labels' losses, λ·CE_a + (1−λ)·CE_b
    (arXiv:1710.09412). They are smoothed here, once: smoothed by the mixing already, they would be twice.

    Args:
        logits: `(B, C)`.
        target: `(B,)` classes, or `(B, C)` shares of the classes, float, that sum to 1.
        weights: `(C,)` weight of each class, or None.
        smoothing: share of the target spread over all classes (arXiv:1512.00567).

    Returns:
        The scalar mean, in float32 unless the logits are of double precision, and the sum of the labels'
        weights; None, without weights, for B.
    """
    if logits.dtype != torch.float64:
        logits = logits.float()
    if weights is None:
        return cross_entropy(logits, target, label_smoothing=smoothing), None
    if target.ndim == 1:
        return cross_entropy(logits, target, weights, label_smoothing=smoothing), weights[target].sum()
    # Torch divides by B where labels are shares; by their weights, the loss is that of the hard labels.
    total = (target * weights).sum()
    summed = cross_entropy(logits, target, weights, label_smoothing=smoothing, reduction="sum")
    return summed / total, total
