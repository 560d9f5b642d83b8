"""Checkpoints as files: written whole, with a checksum beside each, and read only if it agrees."""

import copy
import math
import pickle
import time
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pytorch_lightning.plugins.io import CheckpointIO
from torch import Tensor

from graft.errors import GraftError, first_line
from graft.runs.files import digest_of, sync_folder, whole, write_text
from graft.runs.log import say

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
# What a checkpoint must hold to go on exactly: of the module, and of the callback that wrote it.
NEEDED = ("tally", "terms")
STATE = ("fitted", "epochs", "seconds", "random", "metrics", "table", "trainable")


class Position(NamedTuple):
    """A checkpoint to go on from.

    Attributes:
        path: the file.
        step: optimizer steps done.
        seconds: of training done.
        fitted: whether training had come to its end.
    """

    path: Path
    step: int
    seconds: float
    fitted: bool


class CheckedIO(CheckpointIO):
    """Lightning's way to the disk. Its own goes through the system's temporary folder and never syncs.

    Where epochs take milliseconds, writing the best one so far would take longer than they do. So the new
    state of a file that was written less than `seconds` ago waits in memory. It is written before any other
    file, so that `last.ckpt` never speaks of a best epoch that is not there, and when the trainer ends.

    Args:
        seconds: the shortest time between two writings of a file other than `last.ckpt`; 0: none waits.
    """

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self._written: dict[Path, float] = {}
        self._waiting: tuple[Path, dict[str, object]] | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, object], path: str | PathLike[str], storage_options: object = None
    ) -> None:
        """Write the file and its `.sha256` so that a crash at any moment leaves the old or the new one."""
        path = Path(path)
        if self._waiting and self._waiting[0] != path:
            self._write_waiting()
        self._waiting = None
        elapsed = time.monotonic() - self._written.get(path, -math.inf)
        if path.name != LAST and elapsed < self.seconds:
            self._waiting = path, _copied(checkpoint)
        else:
            self._write(checkpoint, path)

    def teardown(self) -> None:
        """Write what waits; Lightning calls this however a run ends."""
        self._write_waiting()

    def _write_waiting(self) -> None:
        if self._waiting:
            path, checkpoint = self._waiting
            self._waiting = None
            self._write(checkpoint, path)

    def _write(self, checkpoint: dict[str, object], path: Path) -> None:
        sidecar = _sidecar(path)
        old = sidecar.read_text(encoding="utf-8") if sidecar.is_file() else ""
        with whole(path) as part:
            torch.save(checkpoint, part)
            new = f"{digest_of(part)}  {path.name}\n"
            # Both, until the file itself has changed.
            write_text(sidecar, old + new)
        write_text(sidecar, new)
        self._written[path] = time.monotonic()

    def load_checkpoint(
        self, path: str | PathLike[str], map_location: object = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read plain values on the CPU; `map_location` and `weights_only` cannot ask for anything else.

        Raises:
            GraftError: the file is missing or damaged, or holds more than plain values.
        """
        self._write_waiting()
        return load_checked(Path(path))

    def remove_checkpoint(self, path: str | PathLike[str]) -> None:
        """Remove the file, then its checksum."""
        if self._waiting and self._waiting[0] == Path(path):
            self._waiting = None
        Path(path).unlink(missing_ok=True)
        _sidecar(Path(path)).unlink(missing_ok=True)


def _copied(value: Any) -> Any:
    """A copy of plain values and tensors, on the CPU, that training cannot change in place."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        # With the attributes that torch gives the state of a module.
        copied = copy.copy(value)
        copied.update((key, _copied(item)) for key, item in value.items())
        return copied
    return type(value)(map(_copied, value)) if type(value) in (list, tuple) else value


def load_checked(path: Path) -> dict[str, Any]:
    """Read a checkpoint whose checksum stands in its folder.

    Raises:
        GraftError: the file is missing or damaged, or holds more than plain values.
    """
    # Any of the folder's checksums: a crash may have come between the renaming of a file and of its own.
    known = {
        line.split()[0]
        for file in path.parent.glob("*.sha256")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.strip()
    }
    try:
        if digest_of(path) not in known:
            raise GraftError(f"{path} is damaged: its checksum is not the one that was written with it")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise GraftError(f"{path} cannot be read: {first_line(error)}") from error
    return dict(checkpoint)


def keep_previous(folder: Path) -> None:
    """Let `last.ckpt`, where there is one, become `previous.ckpt`."""
    last, previous = folder / LAST, folder / PREVIOUS
    if last.is_file():
        if _sidecar(last).is_file():
            _sidecar(last).replace(_sidecar(previous))
        last.replace(previous)
        sync_folder(folder)


def newest(folder: Path) -> Position | None:
    """The checkpoint to go on from: the last, or, aloud, the one before if that is damaged; None without any.

    Raises:
        GraftError: there are checkpoints, and all are damaged, or an older Graft left something out.
    """
    damaged: list[GraftError] = []
    for path in (folder / LAST, folder / PREVIOUS):
        if not path.is_file():
            continue
        try:
            checkpoint = load_checked(path)
        except GraftError as error:
            say(f"warning: {error}")
            damaged.append(error)
            continue
        state = checkpoint["callbacks"].get("Checkpoints", {})
        if lacks := sorted({*NEEDED, *STATE} - {*checkpoint, *state}):
            raise GraftError(
                f"{path} was written by an older Graft and lacks {', '.join(lacks)}; start a new run"
            )
        return Position(path, int(checkpoint["global_step"]), state["seconds"], state["fitted"])
    if damaged:
        raise damaged[0]
    return None


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
