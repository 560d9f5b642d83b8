"""Samples that somebody sends as the content of a file: read in memory, as those of files are, within bounds.

Imports no torch.
"""

import io
import json
from collections.abc import Callable
from typing import Any

from PIL import Image

from graft.data.formats import formats
from graft.data.images import InMemory, read_image
from graft.data.kinds import Kind
from graft.data.levels import AllLevels
from graft.data.samples import SampleError


class TooLarge(SampleError):
    """What is sent would unpack to more than is taken."""


def sample_from(kind: Kind, name: str, content: bytes, most: int, levels: AllLevels | None = None) -> Any:
    """A sample of a kind, as `Kind.sample` gives it, from the content of a file.

    An image and a sound are files of their formats; a text is UTF-8; a row of a table is a JSON object of
    column to value.

    Args:
        kind: of the sample.
        name: that messages call it by.
        content: the file's bytes.
        most: pixels of an image, or values of a sound, that are taken; what has more is not unpacked.
        levels: of images of more than 8 bits.

    Raises:
        TooLarge: it has more.
        SampleError: it cannot be read.
    """
    return READERS[kind.noun](kind, name, content, most, levels)


def _image(kind: Kind, name: str, content: bytes, most: int, levels: AllLevels | None) -> Any:
    _check_pixels(name, content, most)
    return read_image(InMemory(content, name), levels=levels)


def _check_pixels(name: str, content: bytes, most: int) -> None:
    """Refuse an image of more pixels than `most`, by its header alone; what is none, its reader names."""
    try:
        with Image.open(io.BytesIO(content), formats=formats()) as image:
            width, height = image.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooLarge(f"{name}: has more than {most:,} pixels; make it smaller") from None
    # Pillow's parsers raise whatever they meet in a damaged file.
    except Exception:
        return
    if width * height > most:
        raise TooLarge(f"{name}: has {width:,} x {height:,} pixels, more than {most:,}; make it smaller")


def _sound(kind: Kind, name: str, content: bytes, most: int, levels: AllLevels | None) -> Any:
    # Its library is an extra.
    from graft.data.sounds import decoded, values_of

    if (values := values_of(content)) > most:
        raise TooLarge(f"{name}: has {values:,} values, more than {most:,}; cut it into pieces")
    return decoded(content)


def _text(kind: Kind, name: str, content: bytes, most: int, levels: AllLevels | None) -> Any:
    text = _decoded(name, content).strip()
    if not text:
        raise SampleError(f"{name}: there is no text in it")
    if "\0" in text:
        raise SampleError(f"{name}: is no text")
    return kind.sample(text)


def _row(kind: Kind, name: str, content: bytes, most: int, levels: AllLevels | None) -> Any:
    try:
        row = json.loads(_decoded(name, content))
    except (ValueError, RecursionError) as error:
        raise SampleError(f"{name}: is no JSON object of column to value") from error
    return kind.sample(row)


def _decoded(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SampleError(f"{name}: is no text in UTF-8") from error


# What a sample of a kind is called, to what reads its content.
READERS: dict[str, Callable[[Kind, str, bytes, int, AllLevels | None], Any]] = {
    "image": _image,
    "row": _row,
    "sound": _sound,
    "text": _text,
}
