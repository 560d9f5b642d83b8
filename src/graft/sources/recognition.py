"""Images that a run knows, by content, whatever they are called and wherever they lie. Imports no torch."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from graft.data.facts import data_facts
from graft.data.sample_data import SampleData
from graft.data.split_table import split_from_rows
from graft.data.splits import SPLITS, Splits, from_lists
from graft.errors import GraftError
from graft.runs.files import read_csv
from graft.runs.folder import RunFolder
from graft.runs.seen import Seen

Row = Mapping[str, str]


class Known(NamedTuple):
    """The split of some images, and what a model knows of them.

    Attributes:
        splits: of all images.
        roles: by the index of each image that is known, what the run had it for.
        notes: what is to be said about it, a line each.
    """

    splits: Splits
    roles: dict[int, str]
    notes: list[str]


def digests(data: SampleData, indices: Iterable[int]) -> dict[int, str]:
    """The hexadecimal SHA-256 of each image, by index; reads the files.

    Raises:
        SampleError: an image cannot be read.
    """
    return {int(index): data.identity(int(index)) for index in indices}


def in_place(folder: RunFolder, data: SampleData, seen: Seen | None, split: str) -> Known:
    """A run's own images, where they were when it was trained: the split that it recorded, by their names.

    Args:
        folder: the run.
        data: its images.
        seen: what its model has seen; None where it has no record.
        split: of which images what they hold is compared with what they held: one, or `all`.

    Raises:
        GraftError: the names or labels are not those of the run, or an image cannot be read.
    """
    rows = read_csv(folder.split) if folder.split.is_file() else []
    try:
        splits = split_from_rows(rows, data, str(folder.split))
    except GraftError as error:
        raise GraftError(f"{error}; give data=… to test what is there now, but for what was seen") from error
    if seen is None:
        return Known(splits, splits.of_each(), [])
    digest_of = digests(data, range(len(data.samples)) if split == "all" else splits[split])
    names, before = data.samples.names, {row["name"]: row.get("sha256") for row in rows}
    other = [names[i] for i, digest in digest_of.items() if before.get(names[i]) not in (None, digest)]
    changed = f"{len(other):,} of these images are no longer what they were"
    notes = [f"warning: {changed}, such as {other[0]}"] if other else []
    return Known(splits, _roles(digest_of, seen), notes)


def anywhere(
    folder: RunFolder, data: SampleData, seen: Seen | None, otherwise: Callable[[], Splits]
) -> Known:
    """Images that may be a run's own, or some of them, under whatever names.

    If they are the very same as the run's, they are split as the run was. Of others, an image that the model
    has seen or was tested on is what it was there, so that none is tested that it has learnt from. What
    bears a known name and is another image is not known.

    Args:
        folder: the run.
        data: the images; the run's own have its classes, in their order.
        seen: what its model has seen; None where it has no record.
        otherwise: how images are split that no run knows.

    Raises:
        GraftError: an image cannot be read.
    """
    rows = read_csv(folder.split) if folder.split.is_file() else []
    if seen is None:
        if _same_by_fingerprint(folder, rows, data):
            splits = split_from_rows(rows, data, str(folder.split))
            return Known(splits, splits.of_each(), [])
        what = f"{folder.path} has no record of the images that its model has seen"
        return Known(otherwise(), {}, [f"warning: {what}, so whether these are among them is not known"])
    digest_of = digests(data, range(len(data.samples)))
    seen_here = _roles(digest_of, seen)
    if (moved := _own_split(rows, data, digest_of, str(folder.split))) is not None:
        return Known(moved, seen_here, [])
    tested = {row.get("sha256") for row in rows if row["split"] == "test"}
    roles = {index: "test" for index, digest in digest_of.items() if digest in tested} | seen_here
    return Known(_apart(data, otherwise(), roles), roles, [])


def _roles(digest_of: Mapping[int, str], seen: Seen) -> dict[int, str]:
    return {index: role for index, digest in digest_of.items() if (role := seen.role(digest))}


def _own_split(
    rows: Sequence[Row], data: SampleData, digest_of: Mapping[int, str], source: str
) -> Splits | None:
    """The split that a run has recorded, of the very same images; None for any others."""
    if Counter(row.get("sha256") for row in rows) != Counter(digest_of.values()):
        return None
    waiting: dict[str, dict[str, str]] = {}
    for row in rows:
        waiting.setdefault(row["sha256"], {})[row["name"]] = row["split"]
    names, split_of = data.samples.names, {}
    # Of several copies, the one with the same name goes first.
    for index in sorted(digest_of, key=lambda index: names[index] not in waiting[digest_of[index]]):
        copies = waiting[digest_of[index]]
        split_of[index] = copies.pop(names[index] if names[index] in copies else next(iter(copies)))
    return _splits(data, split_of, f"the run's own images, known by content, as {source} has them")


def _apart(data: SampleData, splits: Splits, roles: Mapping[int, str]) -> Splits:
    """`splits`, in which every image that a run knows is what it was there."""
    split_of = splits.of_each()
    left = Counter(role for index, role in roles.items() if split_of[index] == "test" and role != "test")
    rule = splits.rule
    if left:
        where = {"train": "in training", "val": "in validation"}
        words = " and ".join(f"{left[role]:,} {where[role]}" for role in where if left[role])
        rule += f", but those that the model has seen: {words} (split=all tests them too)"
    return _splits(data, {**split_of, **roles}, rule)


def _splits(data: SampleData, split_of: Mapping[int, str], rule: str) -> Splits:
    lists = {
        split: np.array(sorted(index for index, given in split_of.items() if given == split), np.int64)
        for split in SPLITS[:3]
    }
    return from_lists(data, lists, rule)


def _same_by_fingerprint(folder: RunFolder, rows: Sequence[Row], data: SampleData) -> bool:
    """Whether these are the images of a run that recorded one digest of all images, and none of each."""
    if not rows or {row["name"] for row in rows} != set(data.samples.names):
        return False
    try:
        return _fingerprint(folder) == data_facts(data, split_from_rows(rows, data)).fingerprint
    except GraftError:
        return False


def _fingerprint(folder: RunFolder) -> str | None:
    """The digest that a run recorded of all of its images; None where it recorded none."""
    try:
        return str(json.loads(folder.environment.read_text(encoding="utf-8"))["data"]["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_same_images(folder: RunFolder, data: SampleData, splits: Splits) -> None:
    """Refuse to go on with a run where the images, or their split, are not those that it recorded.

    Where they lie does not matter; reads all files.

    Raises:
        GraftError: names the first image that differs.
    """
    if not folder.split.is_file():
        return
    rows, names = read_csv(folder.split), data.samples.names
    recorded, current = split_from_rows(rows, data, str(folder.split)).of_each(), splits.of_each()
    if moved := [names[index] for index in range(len(names)) if recorded[index] != current[index]]:
        raise GraftError(f"data: the split is no longer that of {folder.split}, first at {moved[0]}")
    for index, row in enumerate(rows):
        if row.get("sha256") not in (None, data.identity(index)):
            raise GraftError(
                f"data: {names[index]} is another image than the one that {folder.split} recorded, "
                "and a run goes on with its own; start a new one for others"
            )
    spelled_alike = [row["name"] for row in rows] == names
    before = _fingerprint(folder) if spelled_alike else None
    if before is not None and before != data_facts(data, splits).fingerprint:
        # Compared as a whole: an older Graft recorded no digests, or the split was changed by hand.
        raise GraftError(f"data: the images, or their split, are not those of {folder.environment}")
