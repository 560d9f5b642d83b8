"""From a PIL image to the tensor that a backbone wants."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torchvision.transforms import ConvertImageDtype, v2


class Preprocessing(Protocol):
    """What the backbone's weights say of their input; `graft.backbones.Preprocessing` has these fields."""

    @property
    def resize(self) -> int:
        """The shorter side, px, before cropping."""

    @property
    def crop(self) -> int:
        """The side, px, of the square that the model sees."""

    @property
    def interpolation(self) -> str:
        """How to resize: `bilinear`, `bicubic` and so on."""

    @property
    def mean(self) -> Sequence[float]:
        """Of each channel, in 0-1."""

    @property
    def std(self) -> Sequence[float]:
        """Of each channel, in 0-1."""


def evaluation_transform(preprocessing: Preprocessing) -> v2.Compose:
    """PIL RGB to `(3, crop, crop)` float32, bit for bit as torchvision's `weights.transforms()`."""
    return v2.Compose([*_centre(preprocessing), *_to_tensor(preprocessing)])


def training_transform(
    preprocessing: Preprocessing,
    crop_scale: Sequence[float] | None,
    horizontal_flip: float,
    policy: Callable[[Any], Any] | None,
) -> v2.Compose:
    """PIL RGB to `(3, crop, crop)` float32, altered at random.

    Args:
        preprocessing: what the backbone wants.
        crop_scale: least and greatest share of the image's area that a random crop keeps; None: the centre,
            as in evaluation.
        horizontal_flip: the probability that left and right change places.
        policy: a transform of PIL images that comes after these, such as `v2.TrivialAugmentWide`, or None.
    """
    first: list[Any] = _centre(preprocessing)
    if crop_scale is not None:
        mode = v2.InterpolationMode(preprocessing.interpolation)
        first = [
            v2.RandomResizedCrop(
                preprocessing.crop, scale=tuple(crop_scale), interpolation=mode, antialias=True
            )
        ]
    if horizontal_flip > 0:
        first.append(v2.RandomHorizontalFlip(horizontal_flip))
    if policy is not None:
        first.append(policy)
    return v2.Compose([*first, *_to_tensor(preprocessing)])


def _centre(preprocessing: Preprocessing) -> list[Any]:
    mode = v2.InterpolationMode(preprocessing.interpolation)
    return [v2.Resize(preprocessing.resize, mode, antialias=True), v2.CenterCrop(preprocessing.crop)]


def _to_tensor(preprocessing: Preprocessing) -> list[Any]:
    return [
        v2.PILToTensor(),
        # Divides by 255 as the weights' own transforms do; v2.ToDtype multiplies by 1/255, a last bit off.
        ConvertImageDtype(torch.float32),
        v2.Normalize(list(preprocessing.mean), list(preprocessing.std)),
    ]
