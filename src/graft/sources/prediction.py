"""Images to predict, found by path. One that cannot be read does not stop the others."""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from graft.backbones.inputs import joined
from graft.configuration.paths import expanded
from graft.data.image_kind import IMAGES
from graft.data.kinds import Kind
from graft.data.levels import AllLevels
from graft.data.loading import PlainTransform, as_transform
from graft.data.samples import SampleError
from graft.data.transforms import Transform
from graft.errors import GraftError
from graft.sources.walk import Walk, told

Item = tuple[int, Any, str]
# Indices and inputs of what could be read; index and reason of what could not.
ReadableBatch = tuple[list[int], Any, list[tuple[int, str]]]


class FoundImages(NamedTuple):
    """Image files, sorted; and what was left out beside them, a line for each reason."""

    files: list[Path]
    notes: list[str]


def find_images(source: str) -> FoundImages:
    """The files that `source` names: one file, a folder's images at any depth, or a pattern's matches.

    A folder is walked as in training; of a pattern's matches those are taken that training would take.

    Raises:
        GraftError: there is nothing of the kind, or a folder cannot be listed.
    """
    path = expanded(source)
    key = f"source={source}"
    if path.is_file():
        return FoundImages([path], [])
    if path.is_dir():
        names, left_out = Walk(path, key).below([""])
        files = sorted(path / name for name in names[""])
    elif glob.has_magic(source):
        matches = [Path(name) for name in glob.glob(str(path), recursive=True)]  # noqa: PTH207
        files, left_out = Walk(Path(), key).among(matches)
    else:
        raise GraftError(f"{key}: there is no such file or folder")
    notes = told(left_out)
    if not files:
        raise GraftError(f"{key}: there are no images{''.join(f'; {note}' for note in notes)}")
    return FoundImages(files, notes)


class PathImages(Dataset[Item]):
    """Files, transformed; each item is its index, the input or None, and why it could not be read."""

    def __init__(
        self,
        files: Sequence[Path],
        transform: Transform | PlainTransform,
        levels: AllLevels | None = None,
        kind: Kind = IMAGES,
    ) -> None:
        self.files = list(files)
        self.transform = as_transform(transform)
        self.levels = levels
        self.kind = kind

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Item:
        try:
            prepared = self.transform.prepare(self.kind.sample(self.files[index], self.levels))
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
