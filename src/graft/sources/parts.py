"""The parts that folders and manifests speak of, and how their class names become indices."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from graft.configuration.names import nfc
from graft.data.image_samples import file_images
from graft.data.sample_data import SampleData
from graft.errors import GraftError

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
class NamedImages:
    """Image files of one part, the class of each by name, and its group where there are groups."""

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
    parts: Mapping[str, NamedImages],
    notes: Sequence[str] = (),
    untrainable: str | None = None,
) -> SampleData:
    """Give every class its index, in the sorted order of the names.

    Problems for training only (no training part, one class only, a class that the training part lacks) are
    recorded in `SampleData.untrainable`.

    Raises:
        GraftError: there are no images.
    """
    class_names = sorted({name for images in parts.values() for name in images.classes})
    if not class_names:
        raise GraftError(f"{source}: no images found")
    notes = list(notes)
    index_of = {name: index for index, name in enumerate(class_names)}
    numbered = {}
    for part, images in parts.items():
        if missing := sorted(set(class_names) - set(images.classes)):
            notes.append(f"{part} has no images of {', '.join(missing)}")
        numbered[part] = file_images(root, images.names, [index_of[name] for name in images.classes])
    groups = [group for images in parts.values() for group in images.groups]
    untrainable = untrainable or _untrainable(source, parts, class_names)
    return SampleData(class_names, numbered, notes, groups or None, untrainable=untrainable)


def _untrainable(source: str, parts: Mapping[str, NamedImages], class_names: Sequence[str]) -> str | None:
    """Why nothing can train on these images."""
    learnt = parts.get("all") or parts.get("train")
    if learnt is None:
        return f"{source}: {' and '.join(parts)} found, but no train; a model needs something to learn from"
    if len(class_names) == 1:
        return f"{source}: one class only, {class_names[0]}; to learn takes at least 2"
    for part, images in parts.items():
        if lacking := sorted(set(images.classes) - set(learnt.classes)):
            return f"{source}: {part} holds a class that train lacks: {lacking[0]}"
    return None
