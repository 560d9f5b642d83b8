"""One file of boundary tensors, written once and never changed, with checksums that tell a whole one."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, TextIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graft.features.folder import HEADER, read_header
from graft.runs.files import sync_folder

ROWS, IDS = "rows.bin", "ids.bin"
# A new shard is written under a name that begins like this.
UNFINISHED = ".part-"
ID_BYTES = 32


class Shard(NamedTuple):
    """Tensors of some images; shape and dtype are those of one image's tensor.

    Attributes:
        ids: one image each, 32 bytes.
        rows: `(n, row bytes)` uint8, on the disk until it is read.
    """

    ids: list[bytes]
    rows: NDArray[np.uint8]
    shape: tuple[int, ...]
    dtype: torch.dtype

    def take(self, rows: NDArray[np.int64]) -> Tensor:
        """`(len(rows), *shape)`, a copy."""
        return torch.from_numpy(self.rows[rows]).view(self.dtype).view(len(rows), *self.shape)


def write_shard(
    path: Path, ids: Sequence[bytes], batches: Iterable[Tensor], about: Mapping[str, object]
) -> None:
    """Write tensors `(B, …)`, batch by batch, to the new folder `path`: whole or, on an error, not at all.

    Raises:
        OSError: the disk is full, or cannot be written to.
    """
    part = path.with_name(f"{UNFINISHED}{path.name}")
    part.mkdir(parents=True)
    try:
        digest, written = hashlib.sha256(), 0
        shape: tuple[int, ...] = ()
        dtype = torch.float32
        with (part / ROWS).open("wb") as file:
            for batch in batches:
                shape, dtype = tuple(batch.shape[1:]), batch.dtype
                values = batch.detach().contiguous().view(torch.uint8).numpy().data.cast("B")
                digest.update(values)
                file.write(values)
                written += len(batch)
            _sync(file)
        assert written == len(ids)
        with (part / IDS).open("wb") as file:
            file.write(b"".join(ids))
            _sync(file)
        sums = {ROWS: digest.hexdigest(), IDS: hashlib.sha256(b"".join(ids)).hexdigest()}
        header = {"images": written, "shape": shape, "dtype": str(dtype).removeprefix("torch.")}
        with (part / HEADER).open("w", encoding="utf-8") as text:
            json.dump({**header, "sha256": sums, "about": about}, text, indent=2)
            _sync(text)
        sync_folder(part)
        part.replace(path)
        sync_folder(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def open_shard(path: Path) -> Shard | None:
    """Read a shard, if it is whole: sizes and checksums are those that were written; else None."""
    header = read_header(path)
    if header is None:
        return None
    dtype = getattr(torch, header["dtype"], None)
    if not isinstance(dtype, torch.dtype):
        return None
    count, shape = header["images"], tuple(header["shape"])
    width = math.prod(shape) * dtype.itemsize
    try:
        sizes = [(path / name).stat().st_size for name in (ROWS, IDS)]
        if sizes != [count * width, count * ID_BYTES] or not width or not count:
            return None
        # As a plain array, since a memmap's own indexing costs more.
        rows = np.asarray(np.memmap(path / ROWS, np.uint8, "r", shape=(count, width)))
        joined = (path / IDS).read_bytes()
    except (OSError, ValueError):
        return None
    # One pass at some GB a second: less than a hundredth of the time of training.
    digests = {ROWS: hashlib.sha256(rows.data.cast("B")), IDS: hashlib.sha256(joined)}
    if any(digest.hexdigest() != header["sha256"].get(name) for name, digest in digests.items()):
        return None
    ids = [joined[start : start + ID_BYTES] for start in range(0, len(joined), ID_BYTES)]
    return Shard(ids, rows, shape, dtype)


def _sync(file: BinaryIO | TextIO) -> None:
    file.flush()
    os.fsync(file.fileno())
