"""What the folders in a data root mean: parts, classes, or folders in between. Imports no torch."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from graft.configuration.names import nfc
from graft.errors import GraftError
from graft.sources.parts import PARTS, parts_of, word_in
from graft.sources.walk import Walk, joined


class Layout(NamedTuple):
    """Where the classes lie.

    Attributes:
        top: the folder, by path below the root, that holds the parts, or the classes; empty: the root.
        parts: part to the folder, by path below the root, that holds its classes; "all" alone: no parts.
        beside: names of folders beside the parts, which are none.
    """

    top: str
    parts: dict[str, str]
    beside: list[str]


def find_layout(walk: Walk) -> Layout:
    """Go down through folders that hold nothing but one folder, to the parts or the classes.

    Where there are no parts, only a folder with the name of the one above it leads down; any other folder
    may be the one class of a task that lacks the others.

    Raises:
        GraftError: two folders mean one part, or a folder cannot be listed.
    """
    top = place = ""
    name = walk.root.resolve().name
    while not (parts := _parts_in(walk, place)):
        if (inner := _only_folder(walk, place)) is None:
            return Layout(top, {"all": top}, [])
        if _doubled(walk, place, name, inner):
            top = joined(place, inner)
        place, name = joined(place, inner), inner
    beside = [folder for folder in walk.listing(place).folders if folder not in parts.values()]
    return Layout(place, {part: _within(walk, joined(place, parts[part])) for part in parts}, beside)


def refuse_folders_in_between(walk: Walk, folders: Sequence[str]) -> None:
    """Refuse class folders that hold only folders, of names that recur: those may be what says the class.

    Raises:
        GraftError: they are such; says what to type in either case.
    """
    held = {folder: walk.listing(folder) for folder in folders}
    if len(held) < 2 or any(listing.files or not listing.folders for listing in held.values()):
        return
    counts = Counter(nfc(name) for listing in held.values() for name in listing.folders)
    recurring = sorted(name for name, count in counts.items() if count > 1)
    if 2 * len(recurring) < len(counts):
        return
    first, second = (PurePosixPath(folder).name for folder in folders[:2])
    if set(parts_of(recurring)) == set(recurring):
        raise GraftError(
            f"{walk.source}: the parts lie in the classes, such as {folders[0]}/{recurring[0]}; move each to "
            f"a part's folder, such as {recurring[0]}/{first}, or say it in a column split of data=csv"
        )
    raise GraftError(
        f"{walk.source}: {first} and {second} hold only folders of the same names, such as "
        f"{' and '.join(recurring[:2])}. If those are the classes, name the folders above them train, val "
        f"and test, or take one by data.root={walk.root / folders[0]}; if the classes are {first} and "
        f"{second}, type data.nested=true"
    )


def _parts_in(walk: Walk, top: str) -> dict[str, str]:
    """Part to the name of its folder; nothing where the folders are classes, or hold no folders."""
    by_rest: dict[tuple[str, ...], dict[str, str]] = {}
    for name in walk.listing(top).folders:
        # A class may be called "train" too, but then it holds images, not folders of classes.
        if (said := word_in(name)) and walk.listing(joined(top, name)).folders:
            by_rest.setdefault(said[1], {})[name] = said[0]
    # Of names such as seg_train there must be several that say the same; train_station is a class.
    sure = {
        rest: words
        for rest, words in by_rest.items()
        if len(words) > 1 or any(nfc(name).casefold() == word for name, word in words.items())
    }
    words = sure.get((), {name: word for words in sure.values() for name, word in words.items()})
    meant = parts_of(words.values())
    folder_of: dict[str, str] = {}
    for name, word in words.items():
        part = meant[word]
        if part in folder_of:
            raise GraftError(f"{walk.source}: {folder_of[part]} and {name} both mean {part}; keep one")
        folder_of[part] = name
    return {part: folder_of[part] for part in PARTS if part in folder_of}


def _within(walk: Walk, part: str) -> str:
    """The folder of a part that holds its classes: seg_train/seg_train for seg_train, where that is so."""
    name = PurePosixPath(part).name
    while (inner := _only_folder(walk, part)) is not None and _doubled(walk, part, name, inner):
        part, name = joined(part, inner), inner
    return part


def _only_folder(walk: Walk, folder: str) -> str | None:
    held = walk.listing(folder)
    return held.folders[0] if len(held.folders) == 1 and not held.files else None


def _doubled(walk: Walk, folder: str, name: str, inner: str) -> bool:
    """Whether a folder has the name of the one that it lies in, and holds folders and no images."""
    held = walk.listing(joined(folder, inner))
    return nfc(inner).casefold() == nfc(name).casefold() and bool(held.folders) and not held.files
