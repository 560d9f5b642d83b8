"""Folds: images cut into parts of which each tests once, every class in proportion, no group divided."""

import numpy as np

from graft.data.image_data import ImageData, Indices
from graft.errors import GraftError


def cut(
    data: ImageData, pool: Indices, folds: int, seed: int, key: str = "folds"
) -> list[tuple[Indices, Indices]]:
    """For each fold what remains and what it holds; the folds partition the pool.

    Scikit-learn's stratified k-fold, shuffled; where the data has groups the one that keeps them together,
    with classes as nearly in proportion as the groups allow.

    Args:
        data: the images.
        pool: `(N,)` indices of those to cut.
        folds: number of parts, at least 2.
        seed: of the shuffling.
        key: what asked for it, for messages.

    Raises:
        GraftError: a class has fewer images than there are folds, or the pool fewer groups.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    labels = data.images.labels[pool]
    classes, counts = np.unique(labels, return_counts=True)
    if not len(pool) or counts.min() < folds:
        name = data.class_names[classes[counts.argmin()]] if len(pool) else "any"
        number = counts.min() if len(pool) else 0
        raise GraftError(f"{key}: class {name} has {number} images, too few for {folds} folds")
    if data.groups is None:
        pairs = StratifiedKFold(folds, shuffle=True, random_state=seed).split(pool, labels)
        return [(pool[kept], pool[held]) for kept, held in pairs]
    groups = np.asarray(data.groups)[pool]
    if (number := len(np.unique(groups))) < folds:
        raise GraftError(f"{key}: {number} groups are too few for {folds} folds")
    grouped = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(pool, labels, groups)
    found = [(pool[kept], pool[held]) for kept, held in grouped]
    if not all(len(held) for _, held in found):
        raise GraftError(f"{key}: the groups are too uneven for {folds} folds, of which one would be empty")
    return found
