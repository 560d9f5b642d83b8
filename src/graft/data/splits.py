"""Which image trains, which validates and which tests: decided once, written down, and reused."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from graft.data.image_data import ImageData, Indices
from graft.errors import GraftError

SPLITS = ("train", "val", "test", "unused")


@dataclass(frozen=True)
class Division:
    """The images of a task, each with its split.

    Attributes:
        data: the images; indices count in `data.images`.
        split: `(N,)` one of `SPLITS` an image.
        rule: how the splits came about, for people.
    """

    data: ImageData
    split: np.ndarray
    rule: str

    def indices(self, split: str) -> Indices:
        """Ascending indices of a split's images; `all` means every image, used or not."""
        return np.arange(len(self.split)) if split == "all" else np.flatnonzero(self.split == split)

    def describe(self) -> str:
        """One line (and one for each note of the data's): the rule and how many images each split has."""
        counts = ", ".join(f"{len(self.indices(name))} {name}" for name in SPLITS if len(self.indices(name)))
        return "\n".join([f"{self.rule}: {counts}", *self.data.notes])

    def rows(self) -> list[dict[str, str]]:
        """One row an image: name, label (the class name) and split."""
        images, classes = self.data.images, self.data.class_names
        triples = zip(images.names, images.labels, self.split, strict=True)
        return [{"name": name, "label": classes[label], "split": str(split)} for name, label, split in triples]

    @classmethod
    def from_rows(cls, rows: Sequence[dict[str, str]], data: ImageData) -> "Division":
        """The division that `rows` recorded, for the same images in any order.

        Raises:
            GraftError: the images or their labels are not those of the record.
        """
        recorded = {row["name"]: row for row in rows}
        images = data.images
        for name, label in zip(images.names, images.labels, strict=True):
            row = recorded.get(name)
            if row is None:
                raise GraftError(f"split.csv does not know {name}; the data has changed since the run")
            if row["label"] != data.class_names[label]:
                now = data.class_names[label]
                raise GraftError(f"split.csv has {name} as {row['label']}, the data now has it as {now}")
        if len(recorded) != len(images):
            gone = next(iter(recorded.keys() - set(images.names)))
            raise GraftError(f"split.csv knows {gone}, which the data no longer has")
        split = np.array([recorded[name]["split"] for name in images.names])
        return cls(data, split, "splits as the run recorded them")

    @classmethod
    def same_images(cls, rows: Sequence[dict[str, str]], data: ImageData) -> bool:
        """Whether the record is of just these images, by name."""
        return {row["name"] for row in rows} == set(data.images.names)

    @classmethod
    def whole(cls, data: ImageData) -> "Division":
        """The data's own test part as the test split; where it names none, every image of it."""
        parts = _official(data)
        if "all" in parts:
            return cls(data, np.full(len(data.images), "test"), "no part is named test, so all images are tested")
        return cls(data, parts_of(data, parts), "parts as they are named")


def divide(
    data: ImageData,
    *,
    val_fraction: float = 0.2,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    shots: int | None = None,
    fraction: float = 1.0,
) -> Division:
    """Give every image its split.

    Parts that the data names are kept: `train`, `val` and `test` are what they say; beside `train`, one other
    part is the test set. What is missing is split off `train` (or off everything), stratified and seeded.

    Args:
        data: the images.
        val_fraction: share of the training part that validates where the data has no part for it; 0: none.
        test_fraction: share of all images that tests where the data has no part for it.
        split_seed: of all choices made here; apart from the run's seed.
        shots: so many images a class remain in the training part; a larger number adds to a smaller one's.
        fraction: share of each class that remains in the training part, likewise nested.

    Raises:
        GraftError: a class has fewer images than a split or `shots` needs.
    """
    parts = _official(data)
    split = parts_of(data, parts)
    labels = data.images.labels
    rule = "the data's own train, val and test"
    if "all" in parts:
        _split_off(split, labels, data.class_names, "test", test_fraction, split_seed, "data.test_fraction")
        rule = f"no part is named train, so all are split off, stratified (data.split_seed={split_seed})"
    if "val" not in parts.values():
        if val_fraction:
            _split_off(split, labels, data.class_names, "val", val_fraction, split_seed, "data.val_fraction")
        if "all" not in parts:
            test = next(name for name, role in parts.items() if role == "test")
            rule = f"train and {test} are named; {test} is the test set; " + (
                f"val is split off train, stratified (data.split_seed={split_seed})"
                if val_fraction
                else "nothing validates (data.val_fraction=0)"
            )
    _keep_few(split, labels, data.class_names, shots, fraction, split_seed)
    return Division(data, split, rule)


def parts_of(data: ImageData, roles: dict[str, str]) -> np.ndarray:
    """`(N,)` the role of each image's part."""
    return np.concatenate([np.full(len(part), roles[name], dtype="<U6") for name, part in data.parts.items()])


def _official(data: ImageData) -> dict[str, str]:
    """Each part of the data with what it is for; one part beside `train` is the test set, whatever its name.

    Raises:
        GraftError: there is a training part and nothing else.
    """
    names = set(data.parts)
    if names == {"all"}:
        return {"all": "train"}
    if names == {"train"}:
        raise GraftError("data has a part named train and no other: name a test part, or name none at all")
    return {name: "test" if len(names) == 2 and name != "train" else name for name in data.parts}


def _split_off(
    split: np.ndarray,
    labels: Indices,
    class_names: Sequence[str],
    to: str,
    fraction: float,
    seed: int,
    key: str,
) -> None:
    """Move a stratified share of the images in `train` to the split `to`."""
    from sklearn.model_selection import train_test_split

    candidates = np.flatnonzero(split == "train")
    counts = np.bincount(labels[candidates], minlength=len(class_names))
    few = int(counts.argmin())
    size = math.ceil(fraction * len(candidates))
    if counts[few] < 2:
        raise GraftError(f"class {class_names[few]} has {counts[few]} image to train on; {key} needs at least 2")
    if size < len(class_names) or len(candidates) - size < len(class_names):
        share = f"{key}={fraction} of {len(candidates)} images is {size}"
        raise GraftError(f"{share}: too few for one of each of {len(class_names)} classes on both sides")
    _, chosen = train_test_split(
        candidates, test_size=size, stratify=labels[candidates], random_state=seed, shuffle=True
    )
    split[chosen] = to


def _keep_few(
    split: np.ndarray,
    labels: Indices,
    class_names: Sequence[str],
    shots: int | None,
    fraction: float,
    seed: int,
) -> None:
    """Mark all but the first images of each class's own permutation as unused."""
    if shots is not None and fraction != 1:
        raise GraftError("data.shots and data.fraction are two ways to take less of the training part; give one")
    for label, name in enumerate(class_names):
        members = np.flatnonzero((split == "train") & (labels == label))
        if shots is not None and shots > len(members):
            raise GraftError(f"data.shots={shots}: class {name} has {len(members)} images to train on")
        keep = math.ceil(fraction * len(members)) if shots is None else shots
        # A permutation a class, so that k shots are among k + 1 and no class depends on another.
        order = np.random.default_rng([seed, label]).permutation(members)
        split[order[keep:]] = "unused"
