"""Where to cut images: boxes `(B, 4)` of top, left, height and width, px, for a whole batch at once.

`sizes` are `(B, 2)` heights and widths, px, at least the `side` of a square; `uniform` are `(B, DRAWS)`
numbers in [0, 1).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Boxes = NDArray[np.int64]
Sizes = NDArray[np.int64]
Floats = NDArray[np.float64]

# torchvision's: how often it tries for a box that fits, and height to width of what it tries.
_TRIES = 10
_RATIOS = (3 / 4, 4 / 3)
# Longer side to shorter one up to which an image is resized whole; of a longer one, the middle.
LONGEST = 16
# Numbers that the random boxes take for an image.
DRAWS = 2 + 2 * _TRIES


def centre_boxes(sizes: Sizes, side: int) -> Boxes:
    """Squares in the middle, rounded as torchvision's `CenterCrop` does."""
    corners = np.rint((sizes - side) / 2).astype(np.int64)
    return np.concatenate([corners, np.full_like(sizes, side)], 1)


def corner_boxes(sizes: Sizes, side: int, corner: tuple[int, int]) -> Boxes:
    """Squares in one corner, by 0 for top and left and 1 for bottom and right."""
    return np.concatenate([(sizes - side) * np.array(corner), np.full_like(sizes, side)], 1)


def random_boxes(sizes: Sizes, side: int, padding: int, uniform: Floats) -> Boxes:
    """Squares anywhere in the images with `padding` px added on each side: they may begin at `-padding`."""
    corners = _below(sizes + 2 * padding - side + 1, uniform[:, :2]) - padding
    return np.concatenate([corners, np.full_like(sizes, side)], 1)


def random_resized_boxes(sizes: Sizes, scale: Sequence[float], uniform: Floats) -> Boxes:
    """Boxes of a random share of the area and a random shape, each its own.

    As torchvision's `RandomResizedCrop`: the area is uniform in `scale`, the logarithm of width to height
    uniform between those of 3/4 and 4/3; the first of 10 such boxes that fits is taken, else the largest in
    the middle whose shape is within the bounds. `scale` is the least and greatest share.
    """
    area = sizes.prod(1, keepdims=True) * (scale[0] + (scale[1] - scale[0]) * uniform[:, 2 : 2 + _TRIES])
    low, high = map(math.log, _RATIOS)
    ratio = np.exp(low + (high - low) * uniform[:, 2 + _TRIES :])
    tries = np.rint(np.sqrt(np.stack([area / ratio, area * ratio], 2))).astype(np.int64)
    fits = ((tries > 0) & (tries <= sizes[:, None])).all(2)
    first = tries[np.arange(len(sizes)), fits.argmax(1)]
    any_fits = fits.any(1, keepdims=True)
    extents = np.where(any_fits, first, _largest(sizes))
    corners = np.where(any_fits, _below(sizes - extents + 1, uniform[:, :2]), (sizes - extents) // 2)
    return np.concatenate([corners, extents], 1)


def middle_resized(image: Image.Image, side: int, sampling: int) -> Image.Image:
    """The middle of a long image's resized version, `LONGEST` times as long as wide, without the rest of it.

    Its centre, and so the crop that evaluation takes, is that of the whole, but for rounding. `sampling` is
    Pillow's number.
    """
    shorter, longer = min(image.size), max(image.size)
    whole = side * longer // shorter
    # An even number of px is left out on each side, so the centre is rounded as in the whole image.
    kept = LONGEST * side + (whole - LONGEST * side) % 4
    before = (whole - kept) // 2
    start, end = (place * longer / whole for place in (before, before + kept))
    across = image.width > image.height
    box = (start, 0, end, image.height) if across else (0, start, image.width, end)
    size = (kept, side) if across else (side, kept)
    return image.resize(size, sampling, box)


def _largest(sizes: Sizes) -> Sizes:
    """The largest heights and widths within the images whose shape is within `_RATIOS`."""
    height, width = sizes.T
    narrow, wide = np.rint(width / _RATIOS[0]).astype(np.int64), np.rint(height * _RATIOS[1]).astype(np.int64)
    return np.stack([np.minimum(height, narrow), np.minimum(width, wide)], 1)


def _below(ends: Sizes, uniform: Floats) -> Sizes:
    """Whole numbers from 0 up to, not including, `ends`."""
    return np.minimum((uniform * ends).astype(np.int64), ends - 1)
