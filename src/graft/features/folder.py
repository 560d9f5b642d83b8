"""The cache folder from outside: its entries, their sizes, and which go first. Imports no torch."""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from graft.errors import GraftError

HEADER = "shard.json"
# What the cache leaves free on the disk, bytes.
RESERVE = 1_000_000_000


class Header(TypedDict):
    """What a shard says of itself: its tensors, the checksums of its files, and what was computed."""

    images: int
    shape: list[int]
    dtype: str
    sha256: dict[str, str]
    about: dict[str, object]


@dataclass(frozen=True)
class Entry:
    """One key's folder.

    Attributes:
        path: the folder; its name is the key.
        about: what was computed, for people to read.
        images: how many tensors there are.
        bytes: their size on the disk.
        used: seconds since the epoch at which a run last asked for it.
    """

    path: Path
    about: Mapping[str, object]
    images: int
    bytes: int
    used: float

    @property
    def key(self) -> str:
        """64 hexadecimal digits."""
        return self.path.name


def entries(features: Path) -> list[Entry]:
    """The readable entries of a folder of features, the one used longest ago first."""
    try:
        present = [entry for path in _subfolders(features) if (entry := _entry(path)) is not None]
    except OSError:
        # It belongs to another user, who does not share it.
        return []
    return sorted(present, key=lambda entry: entry.used)


def unreadable(features: Path) -> int:
    """How many entries belong to other users who do not share them.

    Raises:
        GraftError: the folder itself is.
    """
    try:
        return sum(not os.access(path, os.R_OK | os.X_OK) for path in _subfolders(features))
    except OSError as error:
        raise GraftError(f"{features} cannot be listed ({error.strerror})") from error


def _entry(path: Path) -> Entry | None:
    # Another process may remove it meanwhile.
    try:
        used = path.stat().st_mtime
        headers = [header for shard in _subfolders(path) if (header := read_header(shard))]
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    except OSError:
        return None
    images = sum(header["images"] for header in headers)
    return Entry(path, headers[0]["about"] if headers else {}, images, size, used)


def _subfolders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(child for child in path.iterdir() if child.is_dir() and child.name != "locks")


def read_header(shard: Path) -> Header | None:
    """What a shard says of itself; None where there is nothing that can be believed."""
    try:
        header: Header = json.loads((shard / HEADER).read_text(encoding="utf-8"))
        numbers = isinstance(header["images"], int) and isinstance(header["shape"], list)
        texts = isinstance(header["dtype"], str) and isinstance(header["sha256"], dict)
        return header if numbers and texts and isinstance(header["about"], dict) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def locked(features: Path, key: str, wait: bool = True) -> Iterator[bool]:
    """Be the only process that writes or removes an entry; without `wait`, yields False where another is."""
    from filelock import FileLock, Timeout

    (features / "locks").mkdir(parents=True, exist_ok=True)
    lock = FileLock(features / "locks" / key)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def remove(entry: Entry) -> str | None:
    """Remove an entry, unless a process writes it or it is another user's. Processes that read it may go on.

    Returns:
        Why it stays; None if it is gone.
    """
    try:
        with locked(entry.path.parent, entry.key, wait=False) as alone:
            if not alone:
                return "a process is writing it"
            shutil.rmtree(entry.path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"it cannot be removed ({error.strerror})"
    return None


def room_for(features: Path, needed: int, max_bytes: int) -> str | None:
    """Why `needed` more bytes cannot be kept, however much is removed; None where they can."""
    if needed > max_bytes:
        return f"{sized(needed)} are more than cache.max_bytes={max_bytes} ({sized(max_bytes)})"
    above = next(path for path in (features, *features.parents) if os.path.exists(path))  # noqa: PTH110
    held = sum(entry.bytes for entry in entries(features))
    free = shutil.disk_usage(above).free
    if needed + RESERVE > free + held:
        return f"{sized(needed)} are needed, but the disk of {features} has {sized(free)} left"
    return None


def make_room(features: Path, needed: int, max_bytes: int, keep: str) -> list[Entry]:
    """Remove entries other than `keep`, the one used longest ago first, until `needed` more bytes fit.

    Returns:
        What was removed.
    """
    removed, present = [], entries(features)
    held = sum(entry.bytes for entry in present)
    for entry in present:
        free = shutil.disk_usage(features).free
        if held + needed <= max_bytes and needed + RESERVE <= free:
            break
        if entry.key != keep and remove(entry) is None:
            held -= entry.bytes
            removed.append(entry)
    return removed


def chosen(features: Path, words: Sequence[str]) -> list[Entry]:
    """The entries that words mean: `all`, the beginnings of keys, or `older_than=DAYS` since the last use.

    Raises:
        GraftError: a word means none.
    """
    present = entries(features)
    picked: list[Entry] = []
    for word in words:
        name, _, value = word.partition("=")
        if word == "all":
            picked += present
        elif name == "older_than":
            if not value.replace(".", "", 1).isdigit():
                raise GraftError(f"graft cache prune {word}: it must be a number of days such as 30")
            picked += [entry for entry in present if time.time() - entry.used > float(value) * 86400]
        else:
            named = [entry for entry in present if entry.key.startswith(word)]
            if not named:
                raise GraftError(f"graft cache prune {word}: no entry's key begins so; see graft cache list")
            picked += named
    return list({entry.path: entry for entry in picked}.values())


def sized(count: int) -> str:
    """A number of bytes in the usual units."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
