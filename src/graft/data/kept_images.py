"""Decoded images, kept one after another in one block: of memory, or of a file that processes share."""

import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray

from graft.data.image_transform import Pixels

# Where Linux keeps the memory that processes share.
SHARED = Path("/dev/shm")


class KeptImages:
    """RGB images of any sizes, by position.

    Args:
        pixels: `(T,)` uint8, the images one after another, each `(H, W, 3)`.
        sizes: `(N, 2)` height and width of each.
        folder: where they lie on disk, if they do.
    """

    def __init__(self, pixels: Pixels, sizes: NDArray[np.int64], folder: Path | None = None) -> None:
        self.pixels = pixels
        self.sizes = sizes
        self.folder = folder
        self._ends = np.cumsum(sizes.prod(1) * 3)
        self._shared: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def nbytes(self) -> int:
        """That they take."""
        return self.pixels.nbytes

    def __getitem__(self, position: int) -> Pixels:
        """A view, `(H, W, 3)` uint8."""
        height, width = self.sizes[position]
        end = self._ends[position]
        return self.pixels[end - height * width * 3 : end].reshape(height, width, 3)

    def __reduce__(self) -> "tuple[Callable[..., KeptImages], tuple[object, ...]]":
        """To another process a file goes by its name; memory moves, once, to where torch shares it.

        It is held here: a process that does not begin as a fork opens it when this call is long over. Where
        such memory is short, as in many a container, the other process gets a copy.
        """
        if self.folder is not None:
            return _reopened, (self.folder,)
        if self._shared is None and self.pixels.nbytes <= _shareable():
            self._shared = torch.from_numpy(self.pixels).share_memory_()  # type: ignore[no-untyped-call]
            self.pixels = self._shared.numpy()
        return _received, (self.pixels if self._shared is None else self._shared, self.sizes)


def _shareable() -> float:
    """Bytes that processes can share now; the system ends a process that writes more than that."""
    return shutil.disk_usage(SHARED).free if SHARED.is_dir() else float("inf")


def in_memory(images: Iterable[Pixels], most: float) -> KeptImages | None:
    """Keep images `(H, W, 3)` in memory; None once they are more than `most` bytes."""
    block, sizes = bytearray(), []
    for pixels in images:
        if len(block) + pixels.nbytes > most:
            return None
        block += pixels.data
        sizes.append(pixels.shape[:2])
    return KeptImages(np.frombuffer(block, np.uint8), np.array(sizes))


def on_disk(folder: Path, images: Iterable[Pixels]) -> KeptImages:
    """Write images `(H, W, 3)` to `folder`, under another name until it is whole, and open it.

    Of two processes that write the same at once, the first to end is kept.

    Raises:
        OSError: the disk is full, or not to be written; nothing is left behind.
    """
    part = folder.with_name(f".{folder.name}-{uuid4().hex}")
    part.mkdir(parents=True)
    try:
        checksum, sizes = 0, []
        with (part / "pixels").open("wb") as file:
            for pixels in images:
                file.write(pixels.data)
                checksum = zlib.crc32(pixels.data, checksum)
                sizes.append(pixels.shape[:2])
        np.savez(part / "index.npz", sizes=np.array(sizes), checksum=checksum)
        try:
            part.rename(folder)
        except OSError:
            # Another process may just have written it, so only a damaged folder is replaced.
            if opened(folder) is None:
                shutil.rmtree(folder, ignore_errors=True)
                part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return _reopened(folder)


def opened(folder: Path) -> KeptImages | None:
    """What `on_disk` wrote there; None where there is nothing, or it is damaged.

    Reads all of it, to compare the checksum: a second for 1.6 GB.
    """
    try:
        images, checksum = _reopened(folder), _index(folder)[1]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    right_size = len(images.pixels) == images.sizes.prod(1).sum() * 3
    return images if right_size and zlib.crc32(images.pixels.data) == checksum else None


def _reopened(folder: Path) -> KeptImages:
    # Not "r": torch warns of arrays that cannot be written. In this mode nothing reaches the file.
    return KeptImages(np.memmap(folder / "pixels", np.uint8, "c"), _index(folder)[0], folder)


def _index(folder: Path) -> tuple[NDArray[np.int64], int]:
    # Opened here, since NumPy leaves a damaged file open.
    with (folder / "index.npz").open("rb") as file, np.load(file) as index:
        return index["sizes"], int(index["checksum"])


def _received(pixels: torch.Tensor | Pixels, sizes: NDArray[np.int64]) -> KeptImages:
    return KeptImages(np.asarray(pixels), sizes)
