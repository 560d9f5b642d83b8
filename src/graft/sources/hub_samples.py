"""Rows of a data set of `datasets` as samples: images, sounds and texts, decoded as those of files are."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from graft.data.image_kind import IMAGES
from graft.data.image_samples import ImageSamples
from graft.data.images import InMemory, read_image, stored_mode
from graft.data.kinds import Kind
from graft.data.samples import SampleError, Samples
from graft.errors import GraftError


def _content(rows: Any, column: str, index: int) -> bytes:
    """The bytes of a row's image or sound.

    Raises:
        SampleError: it has none, or they lie in a file that cannot be read.
    """
    value = rows[index][column]
    if value is not None and value.get("bytes") is not None:
        return bytes(value["bytes"])
    if value is None or not value.get("path"):
        raise SampleError("it is empty")
    try:
        return Path(value["path"]).read_bytes()
    except OSError as error:
        raise SampleError(f"{value['path']}: cannot be read ({error.strerror})") from error


def _images(names: Sequence[str], labels: Sequence[int], rows: Any, column: str) -> Samples:
    load, content = partial(_load_image, list(names), rows, column), partial(_content, rows, column)
    mode = partial(_image_mode, list(names), rows, column)
    return ImageSamples(names, labels, load, content, load, mode)


def _load_image(
    names: list[str], rows: Any, column: str, index: int, at_least: int | None = None
) -> Image.Image:
    return read_image(InMemory(_content(rows, column, index), names[index]), at_least)


def _image_mode(names: list[str], rows: Any, column: str, index: int) -> str:
    return stored_mode(InMemory(_content(rows, column, index), names[index]))


def _sounds(names: Sequence[str], labels: Sequence[int], rows: Any, column: str) -> Samples:
    return Samples(names, labels, partial(_load_sound, rows, column), partial(_content, rows, column))


def _load_sound(rows: Any, column: str, index: int) -> Any:
    from graft.data.sounds import decoded

    return decoded(_content(rows, column, index))


def _texts(names: Sequence[str], labels: Sequence[int], rows: Any, column: str) -> Samples:
    from graft.data.held_texts import text_samples

    return text_samples(names, labels, ["" if text is None else text for text in rows[column]])


def _kind_of_images(seconds: float | None) -> Kind:
    _no_seconds(seconds)
    return IMAGES


def _kind_of_texts(seconds: float | None) -> Kind:
    from graft.data.text_kind import TEXTS

    _no_seconds(seconds)
    return TEXTS


def _no_seconds(seconds: float | None) -> None:
    if seconds is not None:
        raise GraftError(f"data.seconds={seconds:g} is for sounds, and this data set has none")


def _kind_of_sounds(seconds: float | None) -> Kind:
    from graft.data.sound_kind import Sounds

    return Sounds(seconds=seconds)


# What the column of inputs holds, to the kind of its samples and to what makes them.
KINDS: dict[str, Callable[[float | None], Kind]] = {
    "image": _kind_of_images,
    "audio": _kind_of_sounds,
    "text": _kind_of_texts,
}
MAKERS: dict[str, Callable[[Sequence[str], Sequence[int], Any, str], Samples]] = {
    "image": _images,
    "audio": _sounds,
    "text": _texts,
}
