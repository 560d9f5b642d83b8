"""Which labels are suspect: what is said of each image by heads that it was no part of says otherwise.

Imports neither torch nor, before labels are weighed, cleanlab.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graft.configuration.version import DISTRIBUTION
from graft.data.samples import Indices
from graft.errors import GraftError

Floats = NDArray[np.float64]


class Confusion(NamedTuple):
    """How many images of a class, of all of it that were judged, are called another; classes by number."""

    label: int
    called: int
    images: int
    of: int


@dataclass(frozen=True)
class Suspects:
    """All images that were judged, the most suspect first.

    Attributes:
        by: what the features are from, such as "resnet18".
        indices: `(M,)` places in the data's images.
        given: `(M,)` the label of each.
        suggested: `(M,)` the most probable class; mostly the label.
        quality: `(M,)` cleanlab's score of the label, from 0, wrong, to 1.
        p_given: `(M,)` probability of the label.
        p_suggested: `(M,)` probability of the most probable class.
        issue: `(M,)` whether cleanlab's confident learning calls the label wrong.
        reason: why no image was judged, or how many were not; empty where all were.
    """

    by: str
    indices: Indices
    given: Indices
    suggested: Indices
    quality: Floats
    p_given: Floats
    p_suggested: Floats
    issue: NDArray[np.bool_]
    reason: str = ""
    # Of classes, by number.
    confusions: list[Confusion] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "confusions", list(_confusions(self.given, self.suggested)))

    @property
    def known(self) -> float:
        """The share of the images whose most probable class is their label; NaN without images."""
        return float((self.given == self.suggested).mean()) if len(self.given) else float("nan")


def is_installed() -> bool:
    """Whether the library that weighs labels is there."""
    return find_spec("cleanlab") is not None


def check_installed() -> None:
    """Refuse to weigh labels without the library that does, which is an extra.

    Raises:
        GraftError: says how to install it.
    """
    if not is_installed():
        raise GraftError(f"to weigh labels needs cleanlab: pip install '{DISTRIBUTION}[labels]'")


def suspects_of(labels: Indices, said: Floats, indices: Indices, by: str) -> Suspects:
    """Weigh labels by what is said of their images out of fold.

    The score is cleanlab's self-confidence, which is the probability of the label; the issues are those of
    its confident learning (https://arxiv.org/abs/1911.00068).

    Args:
        labels: `(N,)`.
        said: `(N, C)` probabilities; a row of NaN where an image was not judged.
        indices: `(N,)` places of the images in the data.
        by: what the features are from.

    Raises:
        GraftError: cleanlab is not installed.
    """
    judged = np.flatnonzero(~np.isnan(said[:, 0]))
    kinds, places = np.unique(labels[judged], return_inverse=True)
    left_out = len(labels) - len(judged) if len(kinds) > 1 else len(labels)
    few = f"{left_out:,} of {len(labels):,} images of train and val cannot be judged by the others"
    if len(kinds) < 2:
        nothing, none = np.empty(0), np.empty(0, np.int64)
        return Suspects(by, none, none, none, nothing, nothing, nothing, np.empty(0, bool), few)
    check_installed()
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    # Classes without a judged image have no label to weigh.
    shares = said[judged][:, kinds]
    shares = shares / shares.sum(1, keepdims=True)
    quality = get_label_quality_scores(places, shares)
    # One process: many would cost more than they gain, and end badly in a program that has threads.
    issue = find_label_issues(places, shares, n_jobs=1)
    order = np.argsort(quality, kind="stable")
    best = shares.argmax(1)
    rows = np.arange(len(judged))
    return Suspects(
        by,
        indices[judged][order],
        labels[judged][order],
        kinds[best][order],
        quality[order],
        shares[rows, places][order],
        shares[rows, best][order],
        issue[order],
        few if left_out else "",
    )


def _confusions(given: Indices, suggested: Indices) -> Iterator[Confusion]:
    """Pairs of a class and what it is taken for, those with the most images first."""
    wrong = given != suggested
    pairs, counts = np.unique(np.stack([given[wrong], suggested[wrong]]), axis=1, return_counts=True)
    of = np.bincount(given, minlength=1)
    for place in np.argsort(-counts, kind="stable").tolist():
        label, called = pairs[:, place].tolist()
        yield Confusion(label, called, int(counts[place]), int(of[label]))
