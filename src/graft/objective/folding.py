"""Images parted again and again into those to learn from and those to judge by."""

import warnings

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from graft.data.samples import Indices

FOLDS = 5
# Cross-validation of few images is repeated until there are so many judgements.
JUDGES = 40
# Places to learn from, and to judge by.
Fold = tuple[Indices, Indices]


def folds_of(labels: Indices, groups: Indices | None, seed: int) -> list[Fold]:
    """Up to `FOLDS` stratified parts of labels `(N,)`, each to judge by once; none if they cannot be parted.

    The only image of a class is always learnt from: without it the class would be unheard of. Images of one
    group `(N,)` are judged by what was made of none of them.
    """
    divided, alone, count = _divisible(labels, groups)
    if count < 2:
        return []
    belonging = None if groups is None else groups[divided]
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    with warnings.catch_warnings():
        # A class with fewer images than folds is in some of them alone, which is all that can be had.
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = kind(count, shuffle=True, random_state=seed).split(
            np.zeros(len(divided)), labels[divided], belonging
        )
        return [
            (np.concatenate([divided[learn], alone]), divided[judge]) for learn, judge in parts if len(judge)
        ]


def repeated_folds(labels: Indices, groups: Indices | None, seed: int) -> list[Fold]:
    """As `folds_of`, parted anew until there are some `JUDGES` judgements."""
    divided, _, _ = _divisible(labels, groups)
    repeats = max(1, JUDGES // max(1, len(divided)))
    return [fold for repeat in range(repeats) for fold in folds_of(labels, groups, seed + repeat)]


def _divisible(labels: Indices, groups: Indices | None) -> tuple[Indices, Indices, int]:
    """Places of images that are not the only one of their class, of those that are, and how many folds."""
    counts = np.bincount(labels)
    single = counts[labels] == 1
    divided = np.flatnonzero(~single)
    parted = len(divided) if groups is None else len(np.unique(groups[divided]))
    return divided, np.flatnonzero(single), min(FOLDS, int(counts.max(initial=0)), parted)
