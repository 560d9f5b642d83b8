"""From samples to inputs: what a transform can do, those of evaluation and training, and a user's own."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from graft.backbones.inputs import Input
from graft.backbones.preprocessing import Preprocessing
from graft.backbones.preprocessings import AnyPreprocessing
from graft.data.image_transform import ImageTransform, Numbers, Pixels
from graft.data.kinds import kind_of
from graft.data.randomness import random_stream
from graft.errors import GraftError


class Transform(Protocol):
    """From samples of a kind to inputs of a backbone, in two steps.

    Attributes:
        form: the kind of `prepare`'s result: where this is equal, so is all that it gives.
        at_least: what `prepare` needs of a sample that has a size, such as an image's shorter side, px; None:
            all there is.
    """

    @property
    def form(self) -> str:
        """As above."""

    @property
    def at_least(self) -> int | None:
        """As above."""

    def prepare(self, sample: Any) -> Any:
        """The first step, which draws nothing, so that it is the same every epoch and can be kept."""

    def finish(self, prepared: Sequence[Any], seed: int | None, epochs: Numbers, indices: Numbers) -> Input:
        """The second step, to a batch of B inputs.

        Args:
            prepared: what `prepare` gave for B samples.
            seed: of all draws, which come from it, the epoch and the index alone; None: it draws nothing.
            epochs: `(B,)`.
            indices: `(B,)` which samples they are.
        """


class Evaluation(Transform, Protocol):
    """A transform that draws nothing, of a kind that knows its inputs."""

    def blank(self, count: int) -> Input:
        """So many inputs of the right shape that hold nothing, to try a network with."""

    def shown(self, inputs: Input) -> list[Image.Image]:
        """Inputs as a person can see them, RGB, all of one size."""


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


# Name of a preprocessing to its transform, imported when it is needed.
TRANSFORMS = {
    "image": ("graft.data.image_transform", "ImageTransform"),
    "words": ("graft.data.text_transform", "TextTransform"),
    "columns": ("graft.data.row_transform", "RowTransform"),
    "log_mel": ("graft.data.sound_transform", "SoundTransform"),
    "tokens": ("graft.data.token_transform", "TokenTransform"),
    "wave": ("graft.data.wave_transform", "WaveTransform"),
}


def evaluation_transform(preprocessing: AnyPreprocessing) -> Evaluation:
    """What makes the input; of an image, bit for bit as torchvision's `weights.transforms()`."""
    module, name = TRANSFORMS[preprocessing.name]
    transform: Evaluation = getattr(import_module(module), name)(preprocessing)
    return transform


def training_transform(
    preprocessing: AnyPreprocessing,
    crop_scale: Sequence[float] | None,
    horizontal_flip: float,
    policy: Callable[[Image.Image], Image.Image] | None,
    crop_padding: int | None = None,
) -> Transform:
    """PIL RGB to `(3, crop, crop)` float32, altered at random; `ImageTransform` says how.

    Where nothing is altered, any sample: training sees it as evaluation does.

    Raises:
        GraftError: `crop_scale` and `crop_padding` are both given, or what is to be altered is no image.
    """
    if not isinstance(preprocessing, Preprocessing):
        altering: dict[str, object] = {"crop_scale": crop_scale, "crop_padding": crop_padding}
        altering |= {"policy": policy, "horizontal_flip": horizontal_flip or None}
        for key, value in altering.items():
            if value is not None:
                plural = kind_of(preprocessing).plural
                raise GraftError(
                    f"augment.{key}={value} alters images, and data has {plural}; give augment=none"
                )
        return evaluation_transform(preprocessing)
    if crop_scale is not None and crop_padding is not None:
        raise GraftError("augment.crop_scale and augment.crop_padding are two ways to crop; give one")
    scale = None if crop_scale is None else (float(crop_scale[0]), float(crop_scale[1]))
    return ImageTransform(preprocessing, scale, crop_padding, horizontal_flip, policy)
