"""From a PIL image to what the network sees: the evaluation transform, and the training one."""

from typing import Any, Protocol

import torch
from torchvision.transforms import InterpolationMode, v2


class Sizes(Protocol):
    """What is needed of a backbone's `Preprocessing`."""

    @property
    def resize(self) -> int: ...  # noqa: D102
    @property
    def crop(self) -> int: ...  # noqa: D102
    @property
    def interpolation(self) -> str: ...  # noqa: D102
    @property
    def mean(self) -> tuple[float, float, float]: ...  # noqa: D102
    @property
    def std(self) -> tuple[float, float, float]: ...  # noqa: D102


def evaluation_transform(preprocessing: Sizes) -> v2.Transform:
    """RGB image to `(3, crop, crop)` float32: the same pixels as torchvision's `weights.transforms()`."""
    return v2.Compose([*_whole(preprocessing), *_numbers(preprocessing)])


def training_transform(
    preprocessing: Sizes,
    crop_scale: tuple[float, float] | None = None,
    horizontal_flip: float = 0.0,
    policy: v2.Transform | None = None,
) -> v2.Transform:
    """As `evaluation_transform`, with random changes.

    Args:
        preprocessing: of the backbone.
        crop_scale: smallest and largest share of the image's area that a random crop keeps; None: the
            evaluation's resize and crop.
        horizontal_flip: probability of mirroring left and right.
        policy: any torchvision v2 transform of uint8 images, applied after the crop.
    """
    sizes = preprocessing
    steps: list[Any] = _whole(sizes)
    if crop_scale is not None:
        mode = InterpolationMode(sizes.interpolation)
        steps = [v2.RandomResizedCrop(sizes.crop, scale=tuple(crop_scale), interpolation=mode, antialias=True)]
    if horizontal_flip:
        steps.append(v2.RandomHorizontalFlip(horizontal_flip))
    if policy is not None:
        steps.append(policy)
    return v2.Compose([*steps, *_numbers(sizes)])


def _whole(sizes: Sizes) -> list[Any]:
    mode = InterpolationMode(sizes.interpolation)
    return [v2.Resize(sizes.resize, interpolation=mode, antialias=True), v2.CenterCrop(sizes.crop)]


def _numbers(sizes: Sizes) -> list[Any]:
    return [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(sizes.mean, sizes.std)]
