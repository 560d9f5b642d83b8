"""Mixing the images of a training batch with one another; labels become shares of the classes.

torchvision's transforms draw from torch's global stream alone, so a run that restores it goes on the same.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import v2

from graft.backbones.inputs import Input
from graft.errors import GraftError

# Images (B, 3, H, W) and labels (B,) to mixed images and the classes' shares (B, C), float.
Mix = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def check_mixable(given: Input, plural: str) -> None:
    """Refuse to mix what are no images, nor pictures of something, of which `plural` names several.

    Raises:
        GraftError: the inputs are not `(B, C, H, W)` and of floating point.
    """
    if not isinstance(given, Tensor) or given.dim() != 4 or not torch.is_floating_point(given):
        raise GraftError(f"mix: it blends images, and data has {plural}; give mix=none")


def unmixed(classes: int) -> None:
    """No mixing: a batch trains as it is loaded."""


def mixup(classes: int, alpha: float) -> Mix:
    """Blend each image with its neighbour: x = λ·x_a + (1−λ)·x_b, labels likewise (arXiv:1710.09412).

    One λ a batch is drawn from Beta(alpha, alpha).
    """
    mix: Mix = v2.MixUp(alpha=alpha, num_classes=classes)
    return mix


def cutmix(classes: int, alpha: float) -> Mix:
    """Paste a rectangle of its neighbour into each image; labels share by area (arXiv:1905.04899).

    The area kept is drawn from Beta(alpha, alpha), one a batch.
    """
    mix: Mix = v2.CutMix(alpha=alpha, num_classes=classes)
    return mix


def mixup_or_cutmix(classes: int, mixup_alpha: float, cutmix_alpha: float) -> Mix:
    """`mixup` or `cutmix` for each batch, with equal chance, each with its alpha."""
    mix: Mix = v2.RandomChoice([mixup(classes, mixup_alpha), cutmix(classes, cutmix_alpha)])
    return mix
