"""Heads: features `(N, D)` to logits `(N, C)`. The data says how many classes, the backbone how wide."""

import torch
from torch import Tensor, nn

# A feature's scale is drawn to that of the others as by so many images: experiments/solved-head.
PRIOR_IMAGES = 10


def linear(
    width: int, classes: int, normalize: bool = True, bias: bool = True, standardize: bool = False
) -> nn.Sequential:
    """One dense layer.

    Args:
        width: D.
        classes: C.
        normalize: bring each image's features to mean 0 and variance 1 first (layer normalisation without
            weights of its own), so that one learning rate suits the features of every backbone.
        bias: whether the dense layer has one.
        standardize: bring each feature to mean 0 and variance 1 over the training images, after that.
    """
    standardization = [Standardize(width)] if standardize else []
    dense = nn.Linear(width, classes, bias=bias)
    return nn.Sequential(*_normalization(width, normalize), *standardization, dense)


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


class Standardize(nn.Module):
    """Features `(N, D)` less their mean over their standard deviation; as they are until it is fitted."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def forward(self, features: Tensor) -> Tensor:  # noqa: D102
        return (features - self.mean) / self.deviation

    def fit(self, features: Tensor) -> None:
        """Take the mean, and a standard deviation that few images cannot make too small.

        The variance of N images is drawn towards the features' median variance as `PRIOR_IMAGES` more would
        draw it (a moderated variance, Smyth 2004, https://doi.org/10.2202/1544-6115.1027): a feature that
        happens to be alike in a few images would else outweigh all others in the next. With many images it
        is scikit-learn's `StandardScaler`. A constant feature's deviation is 1.
        """
        variance, mean = torch.var_mean(features.double(), dim=0, correction=0)
        varies = variance > (1e-7 * mean).square()
        typical = variance[varies].median() if varies.any() else variance.new_ones(())
        images = len(features)
        moderated = (images * variance + PRIOR_IMAGES * typical) / (images + PRIOR_IMAGES)
        self.mean.copy_(mean)
        self.deviation.copy_(torch.where(varies, moderated, 1.0).sqrt())


def standardizes(head: nn.Module) -> bool:
    """Whether a head wants to know the features of all training images."""
    return any(isinstance(layer, Standardize) for layer in head.modules())


@torch.no_grad()
def fit_standardization(head: nn.Module, features: Tensor) -> None:
    """Fit a head's `Standardize` to the features `(N, D)` of all training images, as they reach it."""
    assert isinstance(head, nn.Sequential)
    for layer in head:
        if isinstance(layer, Standardize):
            layer.fit(features)
            return
        features = layer(features)
