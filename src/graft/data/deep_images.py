"""Images of more than 8 bits a value, and how to get all of their bits from Pillow. Imports no torch."""

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from graft.data.formats import formats

# Kinds of values, each with levels of its own.
WHOLE, FLOAT = "whole", "float"
_ORDERS = (("B", "L"), ("L", "B"), ("N", "B" if sys.byteorder == "little" else "L"))
# Pillow keeps the upper byte of each colour; told that bytes stand in the other order it keeps the lower one.
_OTHERWISE = {
    f"{mode};16{order}": f"{mode};16{other}" for mode in ("RGB", "RGBA") for order, other in _ORDERS
}
# And all four bytes of grey and opacity if it takes them for those of colours.
_OTHERWISE["LA;16B"] = "RGBA"
_UPPER = np.uint16(256)
_BITS_PER_VALUE = 258  # TIFF tag


def kind_of(image: Image.Image) -> str | None:
    """`whole` or `float` for an image, opened or in memory, of more than 8 bits a value; else None."""
    if image.mode == "F":
        return FLOAT
    return WHOLE if image.mode.startswith("I") or has_deep_colours(image) else None


def form_of(image: Image.Image) -> str:
    """Pillow's name of the mode that an opened image is stored in, with the bits that it hides."""
    return f"{image.mode};16" if has_deep_colours(image) else image.mode


def has_deep_colours(image: Image.Image) -> bool:
    """Whether an opened image has colours, or opacity, of 16 bits, of which Pillow would keep the upper 8."""
    modes = _raw_modes(image)
    return bool(modes) and modes <= set(_OTHERWISE)


def is_misread(image: Image.Image) -> bool:
    """Whether Pillow takes an opened image for one of 8 bits: a TIFF of 16 that holds colour after colour."""
    if image.format != "TIFF" or not _raw_modes(image) & {"R", "G", "B"}:
        return False
    bits: Any = image.getexif().get(_BITS_PER_VALUE, 8)
    return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)


def _raw_modes(image: Image.Image) -> set[str]:
    """How the pixels of an opened image are stored; nothing for one in memory."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    return {str(tile.args if isinstance(tile.args, str) else (tile.args or [""])[0]) for tile in tiles}


def deep_colours(path: str | Path | BytesIO, image: Image.Image) -> NDArray[np.uint16]:
    """The colours of an opened image that `has_deep_colours`: `(H, W, 3)`, with its opacity `(H, W, 4)`."""
    with_grey = "LA;16B" in _raw_modes(image)
    upper = np.asarray(image).astype(np.uint16)
    with Image.open(path, formats=formats()) as other:
        other.tile = [tile._replace(args=_read_otherwise(tile.args)) for tile in other.tile]
        lower = np.asarray(other).astype(np.uint16)
    if with_grey:
        whole = [lower[..., part] * _UPPER + lower[..., part + 1] for part in (0, 0, 0, 2)]
        return np.stack(whole, -1)
    return upper * _UPPER + lower


def _read_otherwise(arguments: Any) -> Any:
    if isinstance(arguments, str):
        return _OTHERWISE[arguments]
    return (_OTHERWISE[arguments[0]], *arguments[1:])
