"""`data.cache_images`: which decoded images are kept, where, and under which key."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import PIL
import torch
import torchvision
from torch.utils.data import Dataset

from graft.data import deep_images, image_transform, images, levels
from graft.data.cache_location import cache_folder
from graft.data.image_transform import Pixels
from graft.data.kept_images import KeptImages, in_memory, on_disk, opened
from graft.data.loading import TransformedSamples, as_it_is
from graft.data.workers import ImageLoader, outlive_sigterm
from graft.errors import GraftError

# What `auto` keeps in memory at most, in each process that trains.
AUTO_BYTES = 2**30
# Images that a worker process decodes at a time.
BATCH = 8


def keep(items: TransformedSamples, where: str, workers: int, room: float = AUTO_BYTES) -> KeptImages | None:
    """Decode images and keep what their transform begins with; None: they are read from their files.

    Args:
        items: which images, and their transform.
        where: `auto` (memory, if it takes no more than `room`), `ram`, `disk` or `off`.
        workers: processes that decode.
        room: bytes.

    Raises:
        GraftError: an image cannot be read, or memory or disk have no room.
    """
    if where == "off" or not len(items):
        return None
    if where == "disk":
        return _on_disk(items, workers)
    size, decoded = _foreseen(items, workers)
    if where == "auto":
        # The estimate can spare the work; the exact number is counted on the way.
        return in_memory(decoded, room) if size <= room else None
    if size > (memory := _memory()):
        raise _no_room("ram", size, memory, "disk keeps them in a file")
    return in_memory(decoded, float("inf"))


def _on_disk(items: TransformedSamples, workers: int) -> KeptImages:
    folder = cache_folder() / "images" / _key(items)
    if (kept := opened(folder)) is not None:
        return kept
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        size, decoded = _foreseen(items, workers)
        if size > (free := shutil.disk_usage(folder.parent).free):
            raise _no_room(f"disk: {folder.parent}", size, free, "$GRAFT_CACHE_DIR says where else")
        return on_disk(folder, decoded)
    except OSError as error:
        raise GraftError(
            f"data.cache_images=disk: {folder.parent} cannot be written ({error.strerror})"
        ) from error


def _key(items: TransformedSamples) -> str:
    """A hash of all that determines the pixels: files by content, what is done to them, and by which code."""
    key = hashlib.sha256(f"{items.transform.form} {code_version()}".encode())
    for index in items.indices.tolist():
        key.update(items.samples.digest(index))
    return key.hexdigest()[:32]


def code_version() -> str:
    """Changes with the code that turns a file into pixels, here and in the libraries."""
    sources = b"".join(
        Path(str(module.__file__)).read_bytes() for module in (images, levels, deep_images, image_transform)
    )
    digest = hashlib.sha256(sources).hexdigest()
    return f"{digest} {PIL.__version__} {torchvision.__version__} {torch.__version__}"


class _Prepared(Dataset[Pixels]):
    """What the transform's first step gives, by position."""

    def __init__(self, items: TransformedSamples) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> Pixels:
        pixels: Pixels = self.items.prepared(position)
        return pixels


def _decoded(items: TransformedSamples, workers: int) -> Iterator[list[Pixels]]:
    loader = ImageLoader(
        _Prepared(items),
        batch_size=BATCH,
        # No more processes than have something to do.
        num_workers=min(workers, -(-len(items) // BATCH)),
        collate_fn=as_it_is,
        # Without one, the loader draws from torch's global stream.
        generator=torch.Generator(),
        worker_init_fn=outlive_sigterm,
    )
    batches: Any = iter(loader)
    try:
        yield from batches
    finally:
        if loader.num_workers:
            # An error's traceback holds the iterator; left to the collector, its workers take 5 s to end.
            batches._shutdown_workers()


def _foreseen(items: TransformedSamples, workers: int) -> tuple[float, Iterator[Pixels]]:
    """Bytes that all images will take, estimated from the first few, and all images."""
    batches = _decoded(items, workers)
    first = next(batches)
    size = sum(pixels.nbytes for pixels in first) / len(first) * len(items)
    return size, chain(first, chain.from_iterable(batches))


def _memory() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    # Not every system says it.
    except (AttributeError, ValueError, OSError):
        return float("inf")


def _no_room(where: str, size: float, room: float, instead: str) -> GraftError:
    return GraftError(
        f"data.cache_images={where}: the images take about {size / 1e9:.1f} GB, and there is room for "
        f"{room / 1e9:.1f}; {instead}"
    )
