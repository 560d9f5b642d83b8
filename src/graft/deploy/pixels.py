"""From RGB images to a network's input with Pillow and NumPy alone, bit for bit as in evaluation.

What `graft.data.image_transform` does with torchvision where nothing is drawn. Imports no torch: `predict.py`
of an export holds this module's text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from graft.data.crops import LONGEST, centre_boxes, middle_resized


def resized(image: Image.Image, how: Mapping[str, Any]) -> NDArray[np.uint8]:
    """RGB to `(H, W, 3)`: the shorter side, or where `squash` both, brought to `resize` px.

    Args:
        image: RGB.
        how: the values of `graft.backbones.preprocessing.Preprocessing`.
    """
    side, sampling = int(how["resize"]), Image.Resampling[str(how["interpolation"]).upper()]
    shorter, longer = min(image.size), max(image.size)
    if how["squash"]:
        size = side, side
    elif longer > LONGEST * shorter:
        return np.array(middle_resized(image, side, sampling))
    else:
        long_side = int(side * longer / shorter)
        size = (side, long_side) if image.width <= image.height else (long_side, side)
    return np.array(image if image.size == size else image.resize(size, sampling))


def network_input(pixels: Sequence[NDArray[np.uint8]], how: Mapping[str, Any]) -> NDArray[np.float32]:
    """What `resized` gave for B images, to `(B, 3, crop, crop)`: the centre, scaled to 0 … 1, normalised."""
    side = int(how["crop"])
    mean, std = (np.array(how[key], np.float32).reshape(3, 1, 1) for key in ("mean", "std"))
    normalised = np.empty((len(pixels), 3, side, side), np.float32)
    boxes = centre_boxes(np.array([image.shape[:2] for image in pixels]), side)
    for into, image, (top, left, height, width) in zip(normalised, pixels, boxes.tolist(), strict=True):
        into[:] = image[top : top + height, left : left + width].transpose(2, 0, 1)
        into /= np.float32(255)
        into -= mean
        into /= std
    return normalised
