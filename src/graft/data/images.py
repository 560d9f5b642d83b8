"""From an image file, or any PIL image, to RGB: the one place that knows modes, rotation and damage."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from graft.errors import GraftError

_ORIENTATION = 0x0112  # EXIF tag


class ImageError(GraftError):
    """An image that cannot be used; the message names it in one line.

    A DataLoader raises a worker's exception anew with the worker's whole traceback as its message; what
    stands after this class's name there is the message that was meant.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message.strip().rpartition("ImageError: ")[2])


def read_image(path: str | Path, at_least: int | None = None) -> Image.Image:
    """Read an image file as RGB, upright.

    Args:
        path: the file.
        at_least: the shorter side, px, that is enough; a JPEG file is then decoded at 1/2, 1/4 or 1/8 of its
            size where that leaves as much, which takes a third off the time, and slightly other pixels.

    Raises:
        ImageError: there is no such file, it is damaged or no image, or it has more pixels than
            `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    try:
        with Image.open(path) as image:
            most = Image.MAX_IMAGE_PIXELS
            if most is not None and image.width * image.height > most:
                raise Image.DecompressionBombError
            if at_least is not None:
                image.draft(None, (at_least, at_least))
            image.load()
            return to_rgb(image)
    except FileNotFoundError:
        raise ImageError(f"{path}: there is no such image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        most = Image.MAX_IMAGE_PIXELS
        raise ImageError(
            f"{path}: more than {most} pixels (PIL.Image.MAX_IMAGE_PIXELS); make it smaller"
        ) from None
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None
    # Pillow's decoders raise whatever their parsers meet in a damaged file.
    except Exception as error:
        reason = " ".join(str(error).split()).replace(f" '{path}'", "") or type(error).__name__
        raise ImageError(f"{path}: cannot be read as an image ({reason})") from error


def stored_mode(path: str | Path) -> str:
    """Pillow's name of the mode that an image file is stored in; decodes no pixels.

    Raises:
        ImageError: it is no image.
    """
    try:
        with Image.open(path) as image:
            return image.mode
    except Exception as error:
        raise ImageError(f"{path}: cannot be read as an image ({type(error).__name__})") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Any PIL image as RGB, upright, transparency laid on white, 16-bit grey scaled to 8 bits.

    Raises:
        ImageError: its mode has no one meaning as RGB, such as floating-point values beyond 0-1.
    """
    if _orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode == "F" or image.mode.startswith("I"):
        image = _eight_bits(image)
    try:
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image if image.mode == "RGB" else image.convert("RGB")
    except ValueError as error:
        raise ImageError(f"mode {image.mode} cannot be made RGB") from error


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    # A broken EXIF block says nothing of the pixels, which may be whole; its parser raises anything.
    except Exception:
        return 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits (modes `I;16`, and `I` where it holds no more) or of 0-1 floats, as 8 bits.

    Pillow's own conversion clips at 255, which turns almost every 16-bit image white.
    """
    values = np.asarray(image)
    top = 1.0 if image.mode == "F" else 65535.0
    # Written so that NaN fails it too.
    if not (values.min() >= 0 and values.max() <= top):
        raise ImageError(
            f"mode {image.mode} holds values from {values.min()} to {values.max()}, not 0 to {top:g}"
        )
    return Image.fromarray(np.rint(values * (255.0 / top)).astype(np.uint8))
