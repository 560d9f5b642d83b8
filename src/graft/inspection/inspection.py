"""What is known of some images once all were looked at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from graft.data.copies import exact_copies, near_copies
from graft.data.kept_looks import kept_looks
from graft.data.looks import all_looks, readable
from graft.data.sample_data import SampleData
from graft.data.samples import Indices
from graft.data.splits import SPLITS, Splits
from graft.data.together import joined
from graft.inspection.domain_gap import DomainGap
from graft.inspection.suspects import Suspects

# What may not share an image, or a patient, with another.
APART = ("train", "val", "test")


@dataclass(frozen=True)
class Inspection:
    """Images, their splits, and what a look at them found.

    Attributes:
        data: the images.
        splits: what each is for; "unused" where it could not be split.
        looks: at each image, as its kind has it, or why it cannot be read.
        exact: sets of images that agree in every pixel.
        near: sets of images that show the same picture; empty where none were looked for.
        suspects: how the labels of train and val look to a backbone; None where none was asked.
        gap: how far a target domain is from these samples to a backbone; None without one.
    """

    data: SampleData
    splits: Splits
    looks: Sequence[Any]
    exact: list[list[int]]
    near: list[list[int]]
    suspects: Suspects | None = None
    gap: DomainGap | None = None

    @cached_property
    def split_of(self) -> dict[int, str]:
        """Index of an image to its split."""
        return {int(index): split for split in SPLITS for index in self.splits[split]}

    @property
    def unreadable(self) -> list[tuple[int, str]]:
        """Index of each image that cannot be read, and the reason."""
        return [(index, look) for index, look in enumerate(self.looks) if isinstance(look, str)]

    @cached_property
    def counts(self) -> dict[str, Indices]:
        """For each split, `(C,)` images of each class; unreadable ones count."""
        labels, classes = self.data.samples.labels, len(self.data.class_names)
        return {split: np.bincount(labels[self.splits[split]], minlength=classes) for split in SPLITS}

    @property
    def readable(self) -> dict[int, Any]:
        """Index to look of each image that could be read."""
        return dict(readable(self.looks))

    def label(self, index: int) -> str:
        """The class of an image."""
        return self.data.class_names[int(self.data.samples.labels[index])]

    def leaks(self, sets: Sequence[Sequence[int]]) -> list[Sequence[int]]:
        """Those sets of images that are in two or three of train, val and test."""
        split_of = self.split_of
        return [members for members in sets if len({split_of[i] for i in members} & set(APART)) > 1]

    def contradictions(self) -> list[list[int]]:
        """Sets of images that agree in every pixel, but not in their class."""
        labels = self.data.samples.labels
        return [members for members in self.exact if len(set(labels[members].tolist())) > 1]

    def belonging(self, indices: Indices) -> Indices | None:
        """Which of these images `(N,)` belong together: groups, known copies, and images of equal pixels.

        None where each stands alone.
        """
        if self.data.together is None and not self.exact:
            return None
        pictures = np.arange(len(self.looks))
        for copies in self.exact:
            pictures[copies] = copies[0]
        _, groups = np.unique(joined(self.data.together, pictures), return_inverse=True)
        of_each: Indices = groups[indices]
        return of_each

    def divided_groups(self) -> list[list[int]]:
        """The images of each group, such as a patient, that is in two or three of train, val and test."""
        members: dict[str, list[int]] = {}
        for index, group in enumerate(self.data.groups or []):
            members.setdefault(group, []).append(index)
        return [list(group) for group in self.leaks(list(members.values()))]


def inspect_images(
    data: SampleData,
    splits: Splits,
    near: int | None,
    threads: int | None,
    report: Callable[[str, int], None] = lambda what, done: None,
) -> Inspection:
    """Look at all images, and find copies among them.

    Args:
        data: the images.
        splits: what each is for.
        near: bits of 64 in which the perceptual hashes of near copies may differ; None: none are looked for.
            Kinds without such copies ignore it.
        threads: as `in_threads`'.
        report: called now and then with what is being done, and for how many images it is done.
    """
    near_sets = []
    # Where copies are kept together, every image was looked at just now.
    if data.kind.near and data.pictures is not None:
        looks: list[Any] = kept_looks(data.samples, threads, report)
    else:
        looks = all_looks(data.samples, threads, lambda done: report("looked at", done), data.kind.look)
    if data.kind.near and near is not None:
        near_sets = near_copies(looks, near, lambda done: report("compared", done))
    return Inspection(data, splits, looks, exact_copies(looks), near_sets)
