"""From an image file, or any PIL image, to RGB: the one place that knows modes, rotation and damage."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from graft.data.deep_images import WHOLE, deep_colours, form_of, has_deep_colours, is_misread, kind_of
from graft.data.formats import formats
from graft.data.levels import AllLevels, eight_bits
from graft.data.samples import SampleError

_ORIENTATION = 0x0112  # EXIF tag
Result = TypeVar("Result")
# A path, or what stands in a file; its `str` is what messages call it.
File = str | Path | BytesIO


class InMemory(BytesIO):
    """What stands in an image file that lies nowhere; messages call it by its name."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.called = name

    def __str__(self) -> str:
        return self.called

    def __repr__(self) -> str:
        return repr(self.called)


def read_image(path: File, at_least: int | None = None, levels: AllLevels | None = None) -> Image.Image:
    """Read an image file as RGB, upright.

    Args:
        path: the file.
        at_least: the shorter side, px, that is enough; a JPEG file is then decoded at 1/2, 1/4 or 1/8 of its
            size where that leaves as much, which takes a third off the time, and slightly other pixels.
        levels: of images of more than 8 bits, as `to_rgb`.

    Raises:
        SampleError: there is no such file, it is damaged or no image, or it has more pixels than
            `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    return _opened(path, lambda image: to_rgb(_coloured(path, image, levels), levels), at_least)


def read_values(path: File) -> tuple[str, NDArray[Any]]:
    """The kind of an image's values and the values of its colours, in an image of more than 8 bits.

    Raises:
        SampleError: as `read_image`.
    """

    def values(image: Image.Image) -> tuple[str, NDArray[Any]]:
        kind = kind_of(image) or WHOLE
        return kind, deep_colours(path, image)[..., :3] if has_deep_colours(image) else np.asarray(image)

    return _opened(path, values)


def stored_mode(path: File) -> str:
    """Pillow's name of the mode that an image file is stored in, with the bits that it hides.

    Decodes no pixels.

    Raises:
        SampleError: it is no image.
    """
    try:
        with Image.open(path, formats=formats()) as image:
            return form_of(image)
    except Exception as error:
        raise SampleError(f"{path}: cannot be read as an image ({type(error).__name__})") from error


def _opened(path: File, use: Callable[[Image.Image], Result], at_least: int | None = None) -> Result:
    try:
        with Image.open(path, formats=formats()) as image:
            most = Image.MAX_IMAGE_PIXELS
            if most is not None and image.width * image.height > most:
                raise Image.DecompressionBombError
            if is_misread(image):
                raise SampleError("16-bit colours, one after the other, are not read; save them interleaved")
            if at_least is not None:
                image.draft(None, (at_least, at_least))
            return use(image)
    except FileNotFoundError:
        raise SampleError(f"{path}: there is no such image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        most = Image.MAX_IMAGE_PIXELS
        raise SampleError(
            f"{path}: more than {most} pixels (PIL.Image.MAX_IMAGE_PIXELS); make it smaller"
        ) from None
    except SampleError as error:
        raise SampleError(f"{path}: {error}") from None
    # Pillow's decoders raise whatever their parsers meet in a damaged file.
    except Exception as error:
        reason = " ".join(str(error).split()).replace(f" '{path}'", "") or type(error).__name__
        raise SampleError(f"{path}: cannot be read as an image ({reason})") from error


def _coloured(path: File, image: Image.Image, levels: AllLevels | None) -> Image.Image:
    """An opened image, loaded; colours of 16 bits, of which Pillow keeps the upper 8, by their levels."""
    if not has_deep_colours(image):
        image.load()
        return image
    values = deep_colours(path, image)
    try:
        pixels = eight_bits(values[..., :3], WHOLE, levels)
    except ValueError as error:
        raise SampleError(str(error)) from None
    if values.shape[2] == 4:
        pixels = np.dstack([pixels, np.rint(values[..., 3] / 257).astype(np.uint8)])
    image.frombytes(pixels.tobytes())
    return image


def to_rgb(image: Image.Image, levels: AllLevels | None = None) -> Image.Image:
    """Any PIL image as RGB, upright, transparency laid on white, values of more than 8 bits brought to 8.

    Args:
        image: opened, or in memory.
        levels: which of those values are black and white; None: those that suit this image alone.

    Raises:
        SampleError: it has no pixels, or its mode no one meaning as RGB, or most of its values lie beyond the
            levels.
    """
    if not image.width * image.height:
        raise SampleError(f"{image.width} x {image.height} px hold nothing")
    if _orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode == "F" or image.mode.startswith("I"):
        try:
            pixels = eight_bits(np.asarray(image), str(kind_of(image)), levels)
        except ValueError as error:
            raise SampleError(f"mode {image.mode} {error}") from None
        image = Image.fromarray(pixels)
    try:
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image if image.mode == "RGB" else image.convert("RGB")
    except ValueError as error:
        raise SampleError(f"mode {image.mode} cannot be made RGB") from error


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    # A broken EXIF block says nothing of the pixels, which may be whole; its parser raises anything.
    except Exception:
        return 1
