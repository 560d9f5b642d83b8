"""From RGB images to the tensors that a backbone wants, in two steps.

The first, `prepare`, draws nothing: its result is the same every epoch and can be kept. The second, `finish`,
cuts, mirrors, alters and normalises a batch of such results.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_modes_mapping
from torchvision.transforms.v2 import InterpolationMode, functional

from graft.backbones.preprocessing import Preprocessing
from graft.data.crops import (
    DRAWS,
    LONGEST,
    Boxes,
    centre_boxes,
    corner_boxes,
    middle_resized,
    random_boxes,
    random_resized_boxes,
)
from graft.data.randomness import random_stream, uniforms

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class ImageTransform:
    """Resizes, cuts, mirrors and normalises images; each image's draws come from (seed, epoch, index) alone.

    Attributes:
        preprocessing: what the backbone wants.
        crop_scale: least and greatest share of the image's area that a random crop keeps; None: no such crop.
        crop_padding: cut the resized image, with so many black px added on each side, at a random place;
            None: cut its centre, unless there is a `crop_scale`.
        horizontal_flip: the probability that left and right change places.
        policy: a transform of PIL images that comes after these, such as `v2.TrivialAugmentWide`, or None.
        shrinks: with a `crop_scale`, cut from the image with its shorter side brought down to
            `preprocessing.resize`, which takes less room to keep than the whole: the same crops, blurred
            where they are cut from less than they are resized to.
        corner: cut a corner of the resized image, not its centre: 0 for top and left, 1 for bottom and right.
    """

    preprocessing: Preprocessing
    crop_scale: tuple[float, float] | None = None
    crop_padding: int | None = None
    horizontal_flip: float = 0.0
    policy: Callable[[Image.Image], Image.Image] | None = None
    shrinks: bool = False
    corner: tuple[int, int] | None = None

    @property
    def at_least(self) -> int | None:
        """What `prepare` needs of an image's shorter side, px; None: all there is."""
        return self.preprocessing.resize if self.shrinks else None

    @property
    def form(self) -> str:
        """The kind of `prepare`'s result: where this is equal, all pixels are equal."""
        how = f"{self.preprocessing.resize} px {self.preprocessing.interpolation}"
        if self.crop_scale is None:
            return f"{'squashed' if self.preprocessing.squash else 'resized'} to {how}"
        return f"shrunk to {how}" if self.shrinks else "whole"

    def prepare(self, image: Image.Image) -> Pixels:
        """The first step: PIL RGB to `(H, W, 3)` uint8, whole, or with a shorter side of `resize` px.

        Of an image that is more than `LONGEST` times as long as wide, no more than that is resized: 40,000
        x 3 px would become 3,400,000 x 256.
        """
        side, mode = self.preprocessing.resize, InterpolationMode(self.preprocessing.interpolation)
        resizes = self.crop_scale is None or (self.shrinks and min(image.size) > side)
        squashes = self.crop_scale is None and self.preprocessing.squash
        if resizes and not squashes and max(image.size) > LONGEST * min(image.size):
            image = middle_resized(image, side, pil_modes_mapping[mode])
        elif self.crop_scale is None:
            sides = [side, side] if squashes else [side]
            image = functional.resize(image, sides, mode, antialias=True)
        elif resizes:
            # Four times as fast on tensors, and a value in 2,000 is rounded the other way.
            shrunk = functional.resize(_tensor_or_image(np.array(image), mode), [side], mode, antialias=True)
            return np.ascontiguousarray(_pixels(shrunk))
        return np.array(image)

    def finish(
        self, prepared: Sequence[Pixels], seed: int | None, epochs: Numbers, indices: Numbers
    ) -> Tensor:
        """The second step, to `(B, 3, crop, crop)` float32.

        Args:
            prepared: what `prepare` gave for B images.
            seed: of all draws; None is 0.
            epochs: `(B,)`.
            indices: `(B,)` which images they are.
        """
        side = self.preprocessing.crop
        uniform = uniforms(seed or 0, epochs, indices, 1 + DRAWS)
        cut = np.zeros((len(prepared), side, side, 3), np.uint8)
        for into, pixels, box in zip(cut, prepared, self._boxes(prepared, uniform[:, 1:]), strict=True):
            self._cut(into, pixels, box)
        images = torch.from_numpy(cut)
        mirrored = torch.from_numpy(uniform[:, 0] < self.horizontal_flip)
        if self.horizontal_flip > 0:
            images[mirrored] = images[mirrored].flip(2)
        if self.policy is not None:
            for into, epoch, index in zip(cut, epochs.tolist(), indices.tolist(), strict=True):
                with random_stream(seed or 0, epoch, index):
                    into[:] = np.asarray(self.policy(Image.fromarray(into)))
        return self._normalised(images)

    def __call__(self, image: Image.Image, *, seed: int = 0, epoch: int = 0, index: int = 0) -> Tensor:
        """One image: PIL RGB to `(3, crop, crop)` float32."""
        return self.finish([self.prepare(image)], seed, np.array([epoch]), np.array([index]))[0]

    def blank(self, count: int) -> Tensor:
        """`(count, 3, crop, crop)` of zeros."""
        return torch.zeros(count, 3, self.preprocessing.crop, self.preprocessing.crop)

    def shown(self, inputs: Tensor) -> list[Image.Image]:
        """Normalised images `(N, 3, H, W)` as they were before."""
        mean, std = self._scales()
        pixels = ((inputs * std + mean).clamp(0, 1) * 255).round().to(torch.uint8)
        return [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in pixels]

    def _boxes(self, prepared: Sequence[Pixels], uniform: NDArray[np.float64]) -> Boxes:
        sizes = np.array([pixels.shape[:2] for pixels in prepared])
        if self.crop_scale is not None:
            return random_resized_boxes(sizes, self.crop_scale, uniform)
        if self.crop_padding is not None:
            return random_boxes(sizes, self.preprocessing.crop, self.crop_padding, uniform)
        if self.corner is not None:
            return corner_boxes(sizes, self.preprocessing.crop, self.corner)
        return centre_boxes(sizes, self.preprocessing.crop)

    def _cut(self, into: Pixels, pixels: Pixels, box: NDArray[np.int64]) -> None:
        """Write one box into a square of zeros; what lies outside the image stays black."""
        top, left, height, width = box.tolist()
        inside = pixels[max(top, 0) : top + height, max(left, 0) : left + width]
        if self.crop_scale is None:
            above, before = max(-top, 0), max(-left, 0)
            into[above : above + inside.shape[0], before : before + inside.shape[1]] = inside
            return
        mode = InterpolationMode(self.preprocessing.interpolation)
        side = [self.preprocessing.crop] * 2
        into[:] = _pixels(functional.resize(_tensor_or_image(inside, mode), side, mode, antialias=True))

    def _normalised(self, images: Tensor) -> Tensor:
        """`(B, H, W, 3)` uint8 to `(B, 3, H, W)` float32, to the last bit as torchvision does it."""
        mean, std = self._scales()
        normalised = torch.empty(len(images), 3, *images.shape[1:3])
        # Image by image, because one image fits a core's own cache.
        for into, image in zip(normalised, images, strict=True):
            into.copy_(image.permute(2, 0, 1)).div_(255).sub_(mean).div_(std)
        return normalised

    def _scales(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation, `(3, 1, 1)` each."""
        mean, std = (
            torch.tensor(values, dtype=torch.float32).view(3, 1, 1)
            for values in (self.preprocessing.mean, self.preprocessing.std)
        )
        return mean, std


def _tensor_or_image(pixels: Pixels, mode: InterpolationMode) -> Tensor | Image.Image:
    """`(H, W, 3)` as what can be resized so: tensors are faster, and torch knows these two ways alone."""
    if mode in (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC):
        # A view of a larger image would be resized half as fast, and into another layout.
        return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)
    return Image.fromarray(pixels)


def _pixels(resized: Tensor | Image.Image) -> Pixels:
    if isinstance(resized, Tensor):
        return resized.permute(1, 2, 0).numpy()
    return np.array(resized)
