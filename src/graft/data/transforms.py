"""The transforms that evaluation and training use, and the place of a user's own."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from graft.backbones.preprocessing import Preprocessing
from graft.data.image_transform import ImageTransform, Numbers, Pixels
from graft.data.randomness import random_stream
from graft.errors import GraftError


@dataclass(frozen=True)
class PerImage:
    """Any function of one PIL image, as `ImageTransform`'s two steps; it draws from the global streams."""

    transform: Callable[[Image.Image], Tensor]
    form = "whole"
    at_least = None

    def prepare(self, image: Image.Image) -> Pixels:
        """PIL RGB to `(H, W, 3)` uint8."""
        return np.array(image)

    def finish(
        self, prepared: Sequence[Pixels], seed: int | None, epochs: Numbers, indices: Numbers
    ) -> Tensor:
        """Images of any sizes to a batch; each has streams of its own, unless `seed` is None."""
        tensors = []
        for pixels, epoch, index in zip(prepared, epochs.tolist(), indices.tolist(), strict=True):
            with nullcontext() if seed is None else random_stream(seed, epoch, index):
                tensors.append(self.transform(Image.fromarray(pixels)))
        return torch.stack(tensors)


def evaluation_transform(preprocessing: Preprocessing) -> ImageTransform:
    """PIL RGB to `(3, crop, crop)` float32, bit for bit as torchvision's `weights.transforms()`."""
    return ImageTransform(preprocessing)


def training_transform(
    preprocessing: Preprocessing,
    crop_scale: Sequence[float] | None,
    horizontal_flip: float,
    policy: Callable[[Image.Image], Image.Image] | None,
    crop_padding: int | None = None,
) -> ImageTransform:
    """PIL RGB to `(3, crop, crop)` float32, altered at random; `ImageTransform` says how.

    Raises:
        GraftError: `crop_scale` and `crop_padding` are both given.
    """
    if crop_scale is not None and crop_padding is not None:
        raise GraftError("augment.crop_scale and augment.crop_padding are two ways to crop; give one")
    scale = None if crop_scale is None else (float(crop_scale[0]), float(crop_scale[1]))
    return ImageTransform(preprocessing, scale, crop_padding, horizontal_flip, policy)
