"""Which classes have few images, and how many of each are known out of fold."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from graft.data.samples import Indices
from graft.evaluation.intervals.proportions import proportion_ends
from graft.objective.out_of_fold import Probabilities

# A class is rare with fewer images than this, or than this share of the median of all classes.
FEW, SHARE = 10, 0.25


class ClassNote(NamedTuple):
    """What is known of one class.

    Attributes:
        name: the class.
        images: how many there are.
        judged: how many of them were judged out of fold.
        right: how many of these were known.
        low: lower end of the 95 % interval of their share; 0 where none was judged.
        high: upper end; 1 where none was judged.
        rare: whether it has few images, by themselves or beside those of the other classes.
    """

    name: str
    images: int
    judged: int
    right: int
    low: float
    high: float
    rare: bool

    def row(self) -> dict[str, object]:
        """As a row of a table; of a class that nothing judged, the accuracy is empty."""
        accuracy = f"{self.right / self.judged:.3f}" if self.judged else ""
        interval = {"low": f"{self.low:.3f}", "high": f"{self.high:.3f}"}
        return {
            "class": self.name,
            "images": self.images,
            "accuracy": accuracy,
            **interval,
            "rare": self.rare,
        }


def class_notes(labels: Indices, said: Probabilities, class_names: Sequence[str]) -> list[ClassNote]:
    """Every class, the one with the fewest images first.

    Args:
        labels: `(N,)`.
        said: `(N, C)` as of `out_of_fold`: rows of NaN where an image was not judged.
        class_names: the C classes.
    """
    classes = len(class_names)
    judged = ~np.isnan(said[:, 0])
    right = judged & (np.where(judged[:, None], said, 0).argmax(1) == labels)
    images, asked, known = (
        np.bincount(labels[some], minlength=classes) for some in (np.full(len(labels), True), judged, right)
    )
    low, high = proportion_ends(known, asked)
    rare = images < max(FEW, SHARE * float(np.median(images)))
    return [
        ClassNote(
            class_names[label],
            int(images[label]),
            int(asked[label]),
            int(known[label]),
            float(low[label]),
            float(high[label]),
            bool(rare[label]),
        )
        for label in np.argsort(images, kind="stable").tolist()
    ]
