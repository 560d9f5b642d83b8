"""The store: key and images to boundary tensors, computed where they are missing, kept for everyone."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graft.features import folder
from graft.features.folder import locked, make_room, sized
from graft.features.shards import UNFINISHED, Shard, open_shard, write_shard
from graft.runs.log import say


class Stored:
    """Boundary tensors on the disk, in the order of the images that were asked for."""

    def __init__(self, shards: Sequence[Shard], ids: Sequence[bytes]) -> None:
        self.shards = shards
        places = _places(shards)
        self.where: NDArray[np.int64] = np.array([places[name] for name in ids], np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self.where)

    @property
    def nbytes(self) -> int:
        """Of all tensors together."""
        return len(self) * self.shards[0].rows.shape[1] if self.shards else 0

    def take(self, positions: NDArray[np.int64]) -> Tensor:
        """`(n, …)`: the tensors of `(n,)` images, which count in the order asked for; a copy."""
        shard, row = self.where[positions].T
        if len(self.shards) == 1 or (shard == shard[0]).all():
            taken: Tensor = self.shards[shard[0]].take(row)
            return taken
        first = self.shards[0]
        taken = torch.empty(len(positions), *first.shape, dtype=first.dtype)
        for number in np.unique(shard):
            chosen = np.flatnonzero(shard == number)
            taken[torch.from_numpy(chosen)] = self.shards[number].take(row[chosen])
        return taken


class FeatureStore:
    """Entries in a folder, each under a key that says how its tensors are computed.

    In an entry tensors are found by image, so runs that share some images share their tensors. What one
    process writes is read by any: a shard is written under a temporary name and renamed once it is whole,
    and one process at a time writes to an entry.

    Args:
        path: the folder, made when something is written.
        max_bytes: what all entries may take together; those used longest ago make room for new ones.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.max_bytes = max_bytes
        # Shards whose checksums were right, so that each is read through only once.
        self._whole: dict[Path, Shard] = {}

    def missing(self, key: str, ids: Sequence[bytes]) -> list[int]:
        """The positions in `ids`, each image once, of tensors that the entry lacks or holds damaged."""
        return _first_of_each(ids, _places(self._shards(key)))

    def room_for(self, needed: int) -> str | None:
        """Why `needed` more bytes cannot be kept; None where they can."""
        return folder.room_for(self.path, needed, self.max_bytes)

    def get_or_compute(
        self,
        key: str,
        ids: Sequence[bytes],
        compute: Callable[[list[int]], Iterable[Tensor]],
        about: Mapping[str, object],
        image_bytes: int = 0,
    ) -> Stored:
        """The tensors of these images.

        Args:
            key: says how they are computed.
            ids: 32 bytes an image.
            compute: called with the positions in `ids` of those that are missing; gives their tensors in
                batches `(B, …)` on the CPU, in that order. Not called where nothing is missing.
            about: what is computed, for people to read.
            image_bytes: of one tensor, as far as is known; room is made for so many.

        Raises:
            OSError: the folder cannot be written to, or the disk is full.
        """
        shards = self._shards(key)
        if _first_of_each(ids, _places(shards)):
            with locked(self.path, key, wait=False) as alone:
                if alone:
                    self._fill(key, ids, compute, about, image_bytes)
            if not alone:
                say("cache: another process computes the same; waiting for it")
                with locked(self.path, key):
                    self._fill(key, ids, compute, about, image_bytes)
            shards = self._shards(key)
            if _first_of_each(ids, _places(shards)):
                raise OSError(f"{self.path / key} was removed while it was written")
        if shards:
            # The time of the last use decides which goes first. A read-only folder may refuse it.
            with suppress(OSError):
                os.utime(self.path / key)
        return Stored(shards, ids)

    def _fill(
        self,
        key: str,
        ids: Sequence[bytes],
        compute: Callable[[list[int]], Iterable[Tensor]],
        about: Mapping[str, object],
        image_bytes: int,
    ) -> None:
        """Compute what is missing, now that no other process writes here."""
        self._clear_damaged(key)
        # Again: another process may have been faster.
        missing = _first_of_each(ids, _places(self._shards(key)))
        if not missing:
            return
        for entry in make_room(self.path, len(missing) * image_bytes, self.max_bytes, keep=key):
            say(f"cache: removed {entry.key[:12]} ({sized(entry.bytes)}), used longest ago, to make room")
        shard = self.path / key / secrets.token_hex(8)
        write_shard(shard, [ids[position] for position in missing], compute(missing), about)

    def _shards(self, key: str) -> list[Shard]:
        """The whole ones."""
        return [shard for path in self._paths(key) if (shard := self._open(path)) is not None]

    def _open(self, path: Path) -> Shard | None:
        if path not in self._whole and (shard := open_shard(path)) is not None:
            self._whole[path] = shard
        return self._whole.get(path)

    def _clear_damaged(self, key: str) -> None:
        """Remove what is not whole; what is unfinished was left by a process that is gone."""
        for path in self._paths(key, unfinished=True):
            if path.name.startswith(UNFINISHED):
                shutil.rmtree(path, ignore_errors=True)
            elif self._open(path) is None:
                say(f"cache: {path} is damaged; it is computed again")
                shutil.rmtree(path, ignore_errors=True)

    def _paths(self, key: str, unfinished: bool = False) -> list[Path]:
        try:
            folders = sorted(path for path in (self.path / key).iterdir() if path.is_dir())
        except OSError:
            # It is not there. Anything else that is wrong shows when it is written to.
            return []
        return [path for path in folders if unfinished or not path.name.startswith(UNFINISHED)]


def _places(shards: Sequence[Shard]) -> dict[bytes, tuple[int, int]]:
    """Image to the shard and the row that hold its tensor."""
    return {name: (s, row) for s, shard in enumerate(shards) for row, name in enumerate(shard.ids)}


def _first_of_each(ids: Sequence[bytes], places: dict[bytes, tuple[int, int]]) -> list[int]:
    first: dict[bytes, int] = {}
    for position, name in enumerate(ids):
        if name not in places:
            first.setdefault(name, position)
    return list(first.values())
