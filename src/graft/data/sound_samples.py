"""Labelled sounds in files, decoded when asked for."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from graft.data.samples import Indices, SampleError, Samples
from graft.data.sounds import Sound, read_sound


def file_sounds(root: Path, names: Sequence[str], labels: Sequence[int] | Indices) -> Samples:
    """Sound files named by their path below `root`."""
    names = list(names)
    return Samples(names, labels, partial(_load_file, root, names), partial(_file_content, root, names))


def _load_file(root: Path, names: list[str], index: int) -> Sound:
    return read_sound(root / names[index])


def _file_content(root: Path, names: list[str], index: int) -> bytes:
    try:
        return (root / names[index]).read_bytes()
    except OSError as error:
        raise SampleError(f"{root / names[index]}: cannot be read ({error.strerror})") from error
