"""Heads: features `(N, D)` to logits `(N, C)`. The data says how many classes, the backbone how wide."""

from torch import nn


def linear(width: int, classes: int, normalize: bool = True, bias: bool = True) -> nn.Module:
    """One dense layer.

    Args:
        width: D.
        classes: C.
        normalize: bring each image's features to mean 0 and variance 1 first (layer normalisation without
            weights of its own), so that one learning rate suits the features of every backbone.
        bias: whether the dense layer has one.
    """
    return nn.Sequential(*_normalization(width, normalize), nn.Linear(width, classes, bias=bias))


def mlp(
    width: int, classes: int, hidden: int = 256, dropout: float = 0.2, normalize: bool = True
) -> nn.Module:
    """One hidden layer with ReLU, dropout before each dense layer; `normalize` as in `linear`."""
    return nn.Sequential(
        *_normalization(width, normalize),
        nn.Dropout(dropout),
        nn.Linear(width, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, classes),
    )


def _normalization(width: int, normalize: bool) -> list[nn.Module]:
    return [nn.LayerNorm(width, elementwise_affine=False)] if normalize else []
