"""Files of a kind below a folder: the one walk of training, inspection and prediction. Imports no torch."""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from graft.data.cache_location import cache_folder
from graft.data.formats import is_image
from graft.data.sounds import is_sound
from graft.errors import GraftError
from graft.runs.own_folders import own_marks

# Files and folders that systems and archives leave behind, in small letters.
_SYSTEM_FILES = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")
_SYSTEM_FOLDERS = ("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found")
# Why something is left out.
NO_IMAGE, NO_SOUND = "no images", "no sounds"
SYSTEM, REPEATED = "hidden or system files", "links to what is elsewhere"
SPECIAL, OWN, FOLDER = "no files", "Graft's own folders", "folders"
_SAID = {
    NO_IMAGE: ("file that is no image that Pillow decodes", "files that are no images that Pillow decodes"),
    NO_SOUND: (
        "file that is no sound that libsndfile decodes",
        "files that are no sounds that libsndfile decodes",
    ),
    SYSTEM: ("hidden or system file or folder", "hidden or system files and folders"),
    REPEATED: ("link to what is found elsewhere", "links to what is found elsewhere"),
    SPECIAL: ("entry that is no file", "entries that are no files"),
    OWN: ("folder of Graft's own", "folders of Graft's own"),
    FOLDER: ("folder that was matched", "folders that were matched"),
}


class Sought(NamedTuple):
    """What is looked for: what several are called, which file is one, and why another is left out."""

    plural: str
    takes: Callable[[str], bool]
    why_not: str


IMAGE_FILES = Sought("images", is_image, NO_IMAGE)
SOUND_FILES = Sought("sounds", is_sound, NO_SOUND)


class LeftOut(NamedTuple):
    """An entry that is not used: its path below the root, and one of the reasons above."""

    path: str
    why: str


class Listing(NamedTuple):
    """The folders and files in a folder, by name, sorted; which of both are links; and what is left out."""

    folders: list[str]
    files: list[str]
    links: frozenset[str]
    left_out: list[LeftOut]


class Walk:
    """Files of a kind below a folder, each once, and what was left out.

    A link is followed once: what its real path leads to is not found again, and a link to a folder that it
    lies in leads nowhere. What is found at its own place goes before what a link leads to.
    """

    def __init__(self, root: Path, source: str, sought: Sought = IMAGE_FILES) -> None:
        self.root = root
        self.source = source
        self.sought = sought
        self._listings: dict[str, Listing] = {}
        self._cache = os.path.realpath(cache_folder())

    def listing(self, folder: str) -> Listing:
        """What the folder of this path below the root holds; read once.

        Raises:
            GraftError: it cannot be listed.
        """
        if folder not in self._listings:
            self._listings[folder] = self._read(folder)
        return self._listings[folder]

    def below(self, tops: Sequence[str]) -> tuple[dict[str, list[str]], list[LeftOut]]:
        """All files at any depth below some folders, none in another, and what was left out there.

        Returns:
            For each of `tops` the sorted paths of its files, below the root; and what is no such file.

        Raises:
            GraftError: a folder cannot be listed.
        """
        files_below: dict[str, list[str]] = {top: [] for top in tops}
        left_out: list[LeftOut] = []
        entered = {self._real(above) for top in tops for above in _above(top)}
        real_paths: set[str] = set()
        links: deque[tuple[str, str, bool]] = deque()

        def take(top: str, path: str, real: str) -> None:
            if real in real_paths:
                left_out.append(LeftOut(path, REPEATED))
            else:
                real_paths.add(real)
                files_below[top].append(path)

        def enter(top: str, folder: str) -> None:
            pending = [folder]
            while pending:
                place = pending.pop()
                real = self._real(place)
                if real in entered:
                    left_out.append(LeftOut(place, REPEATED))
                    continue
                entered.add(real)
                held = self.listing(place)
                left_out.extend(held.left_out)
                for name in held.files:
                    if name in held.links:
                        links.append((top, joined(place, name), False))
                    else:
                        take(top, joined(place, name), f"{real}{os.sep}{name}")
                for name in held.folders:
                    if name in held.links:
                        links.append((top, joined(place, name), True))
                    else:
                        pending.append(joined(place, name))

        for top in tops:
            if top and (self.root / top).is_symlink():
                links.append((top, top, True))
            else:
                enter(top, top)
        while links:
            top, path, leads_to_folder = links.popleft()
            if leads_to_folder:
                enter(top, path)
            else:
                take(top, path, self._real(path))
        return {top: sorted(paths) for top, paths in files_below.items()}, left_out

    def among(self, paths: Sequence[Path]) -> tuple[list[Path], list[LeftOut]]:
        """The paths that are sought, sorted, each file once, and the paths that were left out.

        A folder is left out where none of these files lies in it.
        """
        file_at: dict[str, Path] = {}
        folders: list[Path] = []
        left_out: list[LeftOut] = []
        # Of several paths to one file, the one without links counts.
        for path in sorted(
            paths, key=lambda path: (path.absolute() != path.resolve(), len(path.parts), path)
        ):
            why, is_folder = self._why_not(path)
            if is_folder:
                folders.append(path)
            elif why:
                left_out.append(LeftOut(str(path), why))
            elif os.path.realpath(path) in file_at:
                left_out.append(LeftOut(str(path), REPEATED))
            else:
                file_at[os.path.realpath(path)] = path
        inside = {above for path in file_at.values() for above in path.parents}
        left_out += [LeftOut(str(path), FOLDER) for path in folders if path not in inside]
        return sorted(file_at.values()), left_out

    def _read(self, folder: str) -> Listing:
        path = self.root / folder
        folders: list[str] = []
        files: list[str] = []
        links: list[str] = []
        left_out: list[LeftOut] = []
        try:
            with os.scandir(path) as scanned:
                entries = sorted(scanned, key=lambda entry: entry.name)
            for entry in entries:
                why, is_folder = self._why_not(entry)
                if why:
                    left_out.append(LeftOut(joined(folder, entry.name), why))
                    continue
                (folders if is_folder else files).append(entry.name)
                if entry.is_symlink():
                    links.append(entry.name)
        except OSError as error:
            place = error.filename or path
            raise GraftError(f"{self.source}: {place} cannot be listed ({error.strerror})") from error
        return Listing(folders, files, frozenset(links), left_out)

    def _why_not(self, entry: "os.DirEntry[str] | Path") -> tuple[str, bool]:
        """Why an entry is left out, or nothing; and whether it is a folder."""
        name, path = entry.name.lower(), os.fspath(entry)
        if entry.is_dir():
            if name.startswith(".") or name in _SYSTEM_FOLDERS:
                return SYSTEM, True
            if entry.is_symlink() and _lies_in(path):
                return REPEATED, True
            is_grafts = os.path.realpath(path) == self._cache or own_marks(path)
            return OWN if is_grafts else "", True
        if name.startswith(".") or name in _SYSTEM_FILES:
            return SYSTEM, False
        # A link to nothing counts as a file that cannot be read; the code that reads it reports it.
        if not entry.is_file() and not (entry.is_symlink() and not os.path.exists(path)):  # noqa: PTH110
            return SPECIAL, False
        return "" if self.sought.takes(path) else self.sought.why_not, False

    def _real(self, path: str) -> str:
        return os.path.realpath(self.root / path)


def told(left_out: Iterable[LeftOut]) -> list[str]:
    """What was left out, a line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for path, why in left_out:
        by_reason.setdefault(why, []).append(path)
    return [_line(why, sorted(by_reason[why])) for why in _SAID if why in by_reason]


def _line(why: str, paths: Sequence[str]) -> str:
    said = f"left out: {len(paths)} {_SAID[why][len(paths) > 1]}"
    if why in (NO_IMAGE, NO_SOUND):
        kinds = Counter(os.path.splitext(path)[1].lower() or "no suffix" for path in paths)  # noqa: PTH122
        said += f" ({', '.join(f'{kind} {count}' for kind, count in kinds.most_common(5))})"
    return f"{said}, such as {paths[0]}"


def _above(top: str) -> list[str]:
    """The folders above a path, from the root on."""
    parts = top.split("/") if top else []
    return ["/".join(parts[:depth]) for depth in range(len(parts))]


def joined(folder: str, name: str) -> str:
    """The path below the root of what lies in a folder."""
    return f"{folder}/{name}" if folder else name


def _lies_in(link: str) -> bool:
    """Whether a link leads to a folder that it lies in itself, however deep."""
    target, place = os.path.realpath(link), os.path.realpath(os.path.dirname(link))  # noqa: PTH120
    return os.path.commonpath([target, place]) == target
