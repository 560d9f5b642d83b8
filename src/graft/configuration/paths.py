"""Paths as people type them: whether they are there, what is there that is like them. Imports no torch."""

import os
import stat
from itertools import islice
from pathlib import Path

from graft.errors import GraftError, did_you_mean

# Comparing with more names than these would take longer than the answer is worth.
COMPARED = 2000


def expanded(given: str | Path) -> Path:
    """The path with the user's folder for a leading `~`, which a shell leaves after `=`.

    Where nobody knows that folder, or there is no such user, `~` is a name like any other.
    """
    return Path(os.path.expanduser(given))  # noqa: PTH111


def from_here(path: str | Path) -> str:
    """A path as it is shown: from the working folder on where it lies below that, else as it is."""
    path = Path(path)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def needed(key: str, given: object) -> str:
    """The path as text.

    Raises:
        GraftError: it is null.
    """
    if given is None:
        raise GraftError(f"{key}=null is wrong: it must be a path")
    return str(given)


def existing(key: str, given: object, kind: str) -> Path:
    """The path of a `file`, a `folder` or a `file or folder` (`kind`), with `~` for the user's folder.

    Raises:
        GraftError: nothing is there, something else is, or it cannot be looked at.
    """
    path = expanded(needed(key, given))
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise GraftError(f"{key}={given}: there is no such {kind}: {_missing(path)}") from None
    except OSError as error:
        raise GraftError(f"{key}={given}: cannot be looked at ({error.strerror})") from None
    except ValueError as error:
        raise GraftError(f"{key}={given!r} is no path: {error}") from None
    if kind == "folder" and not is_folder:
        raise GraftError(f"{key}={given}: is a file, not a folder")
    if kind == "file" and is_folder:
        raise GraftError(f"{key}={given}: is a folder, not a file")
    return path


def _missing(path: Path) -> str:
    """The first part of a path that is missing, the folder where it is missing, and a similar name there."""
    missing = path.absolute()
    while not missing.parent.is_dir():
        if missing.parent.exists():
            return f"{missing.parent} is a file"
        missing = missing.parent
    try:
        with os.scandir(missing.parent) as entries:
            siblings = [entry.name for entry in islice(entries, COMPARED)]
    except OSError:
        siblings = []
    return f"{missing.parent} has no {missing.name}{did_you_mean(missing.name, siblings)}"


def check_room(key: str, given: str | Path) -> None:
    """Check that a folder is there or can be made.

    Raises:
        GraftError: a file is in its place, or nothing may be written there.
    """
    path = expanded(given).absolute()
    above = next((folder for folder in (path, *path.parents) if os.path.lexists(folder)), None)
    if above is None or above.is_dir():
        if above is not None and above != path and not os.access(above, os.W_OK | os.X_OK):
            raise GraftError(f"{key}={given}: it cannot be made, for nothing may be written in {above}")
        return
    raise GraftError(f"{key}={given}: {'it' if above == path else above} is a file, not a folder")
