"""Which images train, validate and test."""

import math
from dataclasses import dataclass

import numpy as np

from graft.data.folds import cut
from graft.data.image_data import ImageData, Indices
from graft.errors import GraftError

SPLITS = ("train", "val", "test", "unused")


@dataclass(frozen=True)
class Splits:
    """What every image is for.

    Attributes:
        indices: for each of train, val, test and unused, the sorted `(N,)` indices into `ImageData.images`;
            no image is in two of them, and every image is in one.
        rule: how it came about, in words.
    """

    indices: dict[str, Indices]
    rule: str

    def __getitem__(self, split: str) -> Indices:
        return self.indices[split]

    def describe(self) -> str:
        """One line that says what was found and which rule was applied."""
        return f"split: {self.rule}"


def split(
    data: ImageData,
    *,
    val_fraction: float = 0.2,
    test_fraction: float = 0.2,
    folds: int | None = None,
    fold: int | None = None,
    shots: int | None = None,
    fraction: float = 1.0,
    seed: int = 0,
) -> Splits:
    """Divide images into train, val, test and unused.

    The source's own parts stay what they are; only what is missing is split off. A test set is drawn from
    everything where there is one part only; of train and val alone, val is the test set, so that nothing
    was chosen on it. A validation set is drawn from what then trains. Draws are stratified, and keep groups
    together. With `shots` or `fraction` less trains, chosen for each class by itself, so that fewer are
    always among more.

    With `folds`, all that is no official test set is cut into so many parts, and `fold` says which of them
    tests; the source's val is cut too, and its test set unused. What validates comes out of the others.

    Args:
        data: the images.
        val_fraction: share of the training part that validates; 0: nothing validates.
        test_fraction: share of all images that tests, where there is no test set and there are no folds.
        folds: number of parts.
        fold: which of them tests, from 1 on.
        shots: exactly this many images a class train.
        fraction: this share of each class, rounded up, trains.
        seed: of all draws; the same numbers give the same split.

    Raises:
        GraftError: `shots` and `fraction` are both given, or a class has too few images.
    """
    if shots is not None and fraction != 1:
        raise GraftError(
            "data.shots and data.fraction are two ways to take less of the training part; give one"
        )
    parts, labels, rules = _given(data), data.images.labels, []
    kind = "stratified" if data.groups is None else "stratified, groups kept together"
    drawn = f"{kind}, data.split_seed={seed}"
    if folds is not None and fold is not None:
        parts, rule = _fold(data, parts, folds, fold, seed)
        rules.append(f"{rule} ({drawn})")
    elif "test" in parts and "val" in data.parts and "test" not in data.parts:
        rules.append(f"parts train and val found: val ({len(parts['test'])} images) is the test set")
    elif "test" in parts:
        rules.append(
            f"parts {', '.join(data.parts)} found: test ({len(parts['test'])} images) is the test set"
        )
    else:
        pool = parts["train"]
        parts["train"], parts["test"] = _draw(data, pool, test_fraction, seed, "data.test_fraction")
        rules.append(f"no test set found: {len(parts['test'])} of {len(pool)} images test ({drawn})")
    if "val" in parts:
        rules.append(f"val ({len(parts['val'])} images) validates")
    elif val_fraction > 0:
        pool = parts["train"]
        parts["train"], parts["val"] = _draw(data, pool, val_fraction, seed, "data.val_fraction")
        rules.append(f"{len(parts['val'])} of the other {len(pool)} validate ({drawn})")
    else:
        rules.append("nothing validates (data.val_fraction=0)")
    for label in range(len(data.class_names)):
        if not (labels[parts["train"]] == label).any():
            raise GraftError(f"data: no image of class {data.class_names[label]} is left to train on")
    pool = parts["train"]
    if shots is not None or fraction < 1:
        parts["train"] = _fewer(data, pool, shots, fraction, seed)
        asked = f"data.shots={shots}" if shots is not None else f"data.fraction={fraction}"
        rules.append(f"{len(parts['train'])} of {len(pool)} train ({asked})")
    else:
        rules.append(f"{len(pool)} train")
    return from_lists(data, parts, "; ".join(rules))


def from_lists(data: ImageData, parts: dict[str, Indices], rule: str) -> Splits:
    """Splits from the indices of train, val and test; whatever is in none of them is unused."""
    nothing = np.zeros(0, np.int64)
    indices = {name: np.sort(parts.get(name, nothing)) for name in SPLITS[:3]}
    unused = np.setdiff1d(np.arange(len(data.images)), np.concatenate(list(indices.values())))
    return Splits({**indices, "unused": unused}, rule)


def _given(data: ImageData) -> dict[str, Indices]:
    """The source's parts as train, val and test, before anything is drawn."""
    found: dict[str, Indices] = {}
    start = 0
    for part, images in data.parts.items():
        found["train" if part == "all" else part] = np.arange(start, start + len(images))
        start += len(images)
    if "val" in found and "test" not in found:
        found["test"] = found.pop("val")
    return found


def _fold(
    data: ImageData, parts: dict[str, Indices], folds: int, fold: int, seed: int
) -> tuple[dict[str, Indices], str]:
    """Training and test part of one fold, and how they came about."""
    pool = np.sort(np.concatenate([indices for part, indices in parts.items() if part != "test"]))
    training, testing = cut(data, pool, folds, seed)[fold - 1]
    left_out = f", the test set of {len(parts['test'])} images left out" if "test" in parts else ""
    rule = f"{len(pool)} images in {folds} folds{left_out}: the {len(testing)} of fold {fold} test"
    return {"train": training, "test": testing}, rule


def _draw(data: ImageData, pool: Indices, share: float, seed: int, key: str) -> tuple[Indices, Indices]:
    """`pool` as what remains and the `share` of it that is drawn, each class in proportion."""
    # Slow to import, and not needed where the source has all its parts.
    from sklearn.model_selection import train_test_split

    labels = data.images.labels[pool]
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        name = data.class_names[classes[counts.argmin()]]
        raise GraftError(
            f"{key}={share}: class {name} has {counts.min()} image to divide, a split needs 2 of every class"
        )
    if data.groups is not None:
        if share > 0.5:
            raise GraftError(f"{key}={share}: of images in groups at most half can be drawn")
        # Of few groups, or few images of a class, as near to the share as they allow.
        groups = len({data.groups[index] for index in pool})
        return cut(data, pool, max(2, min(round(1 / share), groups, counts.min())), seed, key)[0]
    size = round_up(share, len(pool))
    for part, number in (("drawn", size), ("left", len(pool) - size)):
        if number < len(classes):
            raise GraftError(
                f"{key}={share}: {number} of {len(pool)} images would be {part}, of {len(classes)} classes"
            )
    remaining, drawn = train_test_split(pool, test_size=size, random_state=seed, stratify=labels)
    return remaining, drawn


def _fewer(data: ImageData, pool: Indices, shots: int | None, fraction: float, seed: int) -> Indices:
    """`shots` images of each class in `pool`, or a `fraction` of each class."""
    kept: list[Indices] = []
    for label, name in enumerate(data.class_names):
        members = pool[data.images.labels[pool] == label]
        number = round_up(fraction, len(members)) if shots is None else shots
        if number > len(members):
            raise GraftError(f"data.shots={shots}: class {name} has {len(members)} images to train on")
        # Seeded by the name, so that a class's images are the same whatever other classes there are.
        stream = np.random.default_rng([seed, *name.encode(errors="surrogateescape")])
        order = stream.permutation(np.sort(members))
        kept.append(order[:number])
    return np.concatenate(kept)


def round_up(share: float, number: int) -> int:
    """`share * number`, rounded up; 0.07 of 100 is 7, though in floating point it is a little more."""
    return math.ceil(round(share * number, 9))
