"""Images to predict, found by path and read without ever stopping at one that cannot be."""

import glob
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from graft.data.folders import SUFFIXES
from graft.data.images import ImageError, read_image
from graft.errors import GraftError

Item = tuple[int, Tensor | None, str]
# Indices and images `(B, 3, H, W)` of what could be read; index and reason of what could not.
ReadableBatch = tuple[list[int], Tensor, list[tuple[int, str]]]


def find_images(source: str) -> list[Path]:
    """The files that `source` names: one file, a folder's images at any depth, or a pattern's matches.

    Raises:
        GraftError: there is nothing of the kind.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
    elif glob.has_magic(source):
        found = sorted(file for name in glob.glob(source, recursive=True) if (file := Path(name)).is_file())  # noqa: PTH207
    else:
        raise GraftError(f"source={source}: there is no such file or folder")
    if not found:
        raise GraftError(f"source={source}: there are no images")
    return found


class PathImages(Dataset[Item]):
    """Image files, transformed; each item is its index, the image or None, and why it could not be read."""

    def __init__(self, files: Sequence[Path], transform: Callable[..., Tensor]) -> None:
        self.files = list(files)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Item:
        try:
            return index, self.transform(read_image(self.files[index])), ""
        except ImageError as error:
            return index, None, str(error)


def collate_readable(items: Sequence[Item]) -> ReadableBatch:
    """One batch; where nothing could be read, its images are `(0,)`."""
    readable = [(index, image) for index, image, _ in items if image is not None]
    failures = [(index, reason) for index, image, reason in items if image is None]
    images = torch.stack([image for _, image in readable]) if readable else torch.empty(0)
    return [index for index, _ in readable], images, failures
