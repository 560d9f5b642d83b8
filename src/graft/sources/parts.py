"""The parts that folders and manifests speak of, and how their class names become indices."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from graft.configuration.names import nfc
from graft.data.domains import NO_CLASS
from graft.data.image_kind import IMAGES
from graft.data.image_samples import file_images
from graft.data.kinds import Kind
from graft.data.sample_data import SampleData
from graft.data.samples import Samples
from graft.errors import GraftError, did_you_mean

PARTS = ("train", "val", "test")
# What a folder or a cell of a manifest may be called, and the part it means.
PART_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "development"), "val"),
    **dict.fromkeys(("test", "testing", "holdout"), "test"),
    # These words are used for both; see `parts_of`.
    **dict.fromkeys(("eval", "evaluation"), "val"),
}
_EITHER = ("eval", "evaluation")
# Words that may stand beside these and say nothing: training_set, test_images.
_EMPTY_WORDS = ("set", "data", "dataset", "folder", "split", "images", "image", "imgs", "pictures", "photos")


@dataclass(frozen=True)
class NamedFiles:
    """The samples of one part by name, the class of each, and its group where there are groups."""

    names: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)


def parts_of(words: Iterable[str]) -> dict[str, str]:
    """The part that each word means, in small letters or large; words that mean none are left out.

    `eval` is val where nothing else is, and test where something else is val and nothing is test.
    """
    plain = {word: nfc(word).strip().casefold() for word in words}
    part_of = {word: PART_WORDS[text] for word, text in plain.items() if text in PART_WORDS}
    surely = {part for word, part in part_of.items() if plain[word] not in _EITHER}
    if "val" in surely and "test" not in surely:
        part_of |= {word: "test" for word in part_of if plain[word] in _EITHER}
    return part_of


def word_in(name: str) -> tuple[str, tuple[str, ...]] | None:
    """The one word of a part that a name begins or ends with, and what else it says: seg_train, test_set."""
    words = [word for word in re.split(r"[\W_]+", nfc(name).casefold()) if word]
    places = [place for place, word in enumerate(words) if word in PART_WORDS]
    if len(places) != 1 or places[0] not in (0, len(words) - 1):
        return None
    rest = [word for place, word in enumerate(words) if place not in places and word not in _EMPTY_WORDS]
    return words[places[0]], tuple(rest)


def number_classes(
    source: str,
    root: Path,
    parts: Mapping[str, NamedFiles],
    notes: Sequence[str] = (),
    untrainable: str | None = None,
    read: Callable[[Path, Sequence[str], Sequence[int]], Samples] = file_images,
    kind: Kind = IMAGES,
    labelled: bool = True,
) -> SampleData:
    """As `numbered`, of files below `root`; `read` makes samples of root, names and labels."""
    return numbered(source, parts, partial(read, root), kind, notes, untrainable, labelled)


def numbered(
    source: str,
    parts: Mapping[str, NamedFiles],
    samples: Callable[[Sequence[str], Sequence[int]], Samples],
    kind: Kind = IMAGES,
    notes: Sequence[str] = (),
    untrainable: str | None = None,
    labelled: bool = True,
) -> SampleData:
    """Give every class its index, in the sorted order of the names.

    Problems for training only (no training part, one class only, a class that the training part lacks) are
    recorded in `SampleData.untrainable`.

    Args:
        source: names the data in messages.
        parts: what was found.
        samples: from names and labels of a part to its samples.
        kind: of the samples.
        notes: as `SampleData`'s.
        untrainable: as `SampleData`'s, if it is known already.
        labelled: whether the classes say anything; else there is one, `NO_CLASS` (see `unlabelled`).

    Raises:
        GraftError: there are no samples.
    """
    class_names = sorted({name for files in parts.values() for name in files.classes})
    if not class_names:
        raise GraftError(f"{source}: no {kind.plural} found")
    notes = list(notes)
    index_of = {name: index for index, name in enumerate(class_names)}
    lists = {}
    for part, images in parts.items():
        if missing := sorted(set(class_names) - set(images.classes)):
            notes.append(f"{part} has no {kind.plural} of {', '.join(missing)}")
        lists[part] = samples(images.names, [index_of[name] for name in images.classes])
    groups = [group for images in parts.values() for group in images.groups]
    untrainable = untrainable or _untrainable(source, parts, class_names)
    data = SampleData(class_names, lists, notes, groups or None, untrainable=untrainable, kind=kind)
    return data if labelled else unlabelled(data)


def unlabelled(data: SampleData) -> SampleData:
    """The same samples, whose one class says nothing: of a target domain, or to have their features."""
    why = "data.label=null: to learn takes labels; a target domain alone needs none"
    return replace(data, class_names=[NO_CLASS], labelled=False, untrainable=why)


def divided(parts: Mapping[str, NamedFiles]) -> list[str]:
    """A note where the parts of a list divide groups, so that a test may look better than it is."""
    counts = Counter(group for images in parts.values() for group in set(images.groups))
    apart = sorted(group for group, count in counts.items() if count > 1)
    if not apart:
        return []
    return [f"warning: {len(apart)} groups are in more than one part, such as {apart[0]}"]


def part_of(where: str, word: str | None, meant: Mapping[str, str]) -> str:
    """The part that a row is in by the word of its split; `all` where there is no word.

    Args:
        where: names the row.
        word: the row's.
        meant: as `parts_of`'s.

    Raises:
        GraftError: the word is that of no part.
    """
    if word is None:
        return "all"
    if word not in meant:
        small = word.lower()
        raise GraftError(
            f"{where}: split {small!r} is none of train, val, test{did_you_mean(small, PART_WORDS)}"
        )
    return meant[word]


def _untrainable(source: str, parts: Mapping[str, NamedFiles], class_names: Sequence[str]) -> str | None:
    """Why nothing can train on these files."""
    learnt = parts.get("all") or parts.get("train")
    if learnt is None:
        return f"{source}: {' and '.join(parts)} found, but no train; a model needs something to learn from"
    if len(class_names) == 1:
        return f"{source}: one class only, {class_names[0]}; to learn takes at least 2"
    for part, files in parts.items():
        if lacking := sorted(set(files.classes) - set(learnt.classes)):
            return f"{source}: {part} holds a class that train lacks: {lacking[0]}"
    return None
