"""Samples to predict, named on the command line. One that cannot be read does not stop the others."""

import glob
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from graft.backbones.inputs import joined
from graft.configuration.paths import expanded
from graft.data.image_samples import file_images
from graft.data.kinds import Kind
from graft.data.loading import PlainTransform, as_transform
from graft.data.samples import Indices, SampleError, Samples
from graft.data.sound_samples import file_sounds
from graft.data.transforms import Transform
from graft.errors import GraftError
from graft.sources.walk import IMAGE_FILES, SOUND_FILES, Sought, Walk, told

Item = tuple[int, Any, str]
# Indices and inputs of what could be read; index and reason of what could not.
ReadableBatch = tuple[list[int], Any, list[tuple[int, str]]]


class FoundFiles(NamedTuple):
    """Files, sorted; and what was left out beside them, a line for each reason."""

    files: list[Path]
    notes: list[str]


class Found(NamedTuple):
    """Samples to predict, of no known label, and what was left out beside them or how they were read."""

    samples: Samples
    notes: list[str]


# What a sample of a kind is called to what finds such samples, imported when it is needed. It is given what
# `source` says, and the `data` node of the run that predicts, empty where there is none.
FINDERS = {
    "image": ("graft.sources.prediction", "image_files"),
    "row": ("graft.sources.tables", "listed_rows"),
    "sound": ("graft.sources.prediction", "sound_files"),
    "text": ("graft.sources.texts", "listed_texts"),
}


def find_samples(source: str, kind: Kind, data: Mapping[str, Any]) -> Found:
    """The samples of a kind that `source` names: files, or the rows of one.

    Args:
        source: as it was typed.
        kind: of the model that predicts.
        data: the `data` node of its run; empty for a bundle alone.

    Raises:
        GraftError: there is nothing of the kind, or it cannot be listed.
    """
    module, name = FINDERS[kind.noun]
    found: Found = getattr(import_module(module), name)(source, data)
    return found


def image_files(source: str, data: Mapping[str, Any]) -> Found:
    """As `find_images`, by path."""
    return _by_path(find_images(source), file_images)


def sound_files(source: str, data: Mapping[str, Any]) -> Found:
    """As `find_sounds`, by path."""
    return _by_path(find_sounds(source), file_sounds)


def _by_path(found: FoundFiles, read: Callable[[Path, Sequence[str], Indices], Samples]) -> Found:
    """Files as samples that are called by their paths; `read` makes them of root, names and labels."""
    names = [str(file) for file in found.files]
    return Found(read(Path(), names, np.zeros(len(names), np.int64)), found.notes)


def find_images(source: str) -> FoundFiles:
    """Images, as `find_files`."""
    return find_files(source, IMAGE_FILES)


def find_sounds(source: str) -> FoundFiles:
    """Sounds, as `find_files`."""
    return find_files(source, SOUND_FILES)


def find_files(source: str, sought: Sought) -> FoundFiles:
    """The files that `source` names: one file, a folder's files at any depth, or a pattern's matches.

    A folder is walked as in training; of a pattern's matches those are taken that training would take.

    Raises:
        GraftError: there is nothing of the kind, or a folder cannot be listed.
    """
    path = expanded(source)
    key = f"source={source}"
    if path.is_file():
        return FoundFiles([path], [])
    if path.is_dir():
        names, left_out = Walk(path, key, sought).below([""])
        files = sorted(path / name for name in names[""])
    elif glob.has_magic(source):
        matches = [Path(name) for name in glob.glob(str(path), recursive=True)]  # noqa: PTH207
        files, left_out = Walk(Path(), key, sought).among(matches)
    else:
        raise GraftError(f"{key}: there is no such file or folder")
    notes = told(left_out)
    if not files:
        raise GraftError(f"{key}: there are no {sought.plural}{''.join(f'; {note}' for note in notes)}")
    return FoundFiles(files, notes)


class ReadableSamples(Dataset[Item]):
    """Samples, transformed; each item is its index, the input or None, and why it could not be read."""

    def __init__(self, samples: Samples, transform: Transform | PlainTransform) -> None:
        self.samples = samples
        self.transform = as_transform(transform)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Item:
        try:
            prepared = self.transform.prepare(self.samples.read(index, self.transform.at_least))
        except SampleError as error:
            return index, None, str(error)
        nothing = np.zeros(1, np.int64)
        return index, self.transform.finish([prepared], None, nothing, nothing), ""


def collate_readable(items: Sequence[Item]) -> ReadableBatch:
    """One batch; where nothing could be read, its input is `(0,)`."""
    readable = [(index, given) for index, given, _ in items if given is not None]
    failures = [(index, reason) for index, given, reason in items if given is None]
    given = joined([given for _, given in readable]) if readable else torch.empty(0)
    return [index for index, _ in readable], given, failures
