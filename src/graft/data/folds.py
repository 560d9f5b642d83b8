"""Folds: images cut into parts that each test once, with every class in proportion and no group divided."""

import numpy as np

from graft.data.grouping import counts_of, deal, divisible
from graft.data.sample_data import SampleData
from graft.data.samples import Indices
from graft.errors import GraftError


def cut(data: SampleData, pool: Indices, folds: int, seed: int) -> list[tuple[Indices, Indices]]:
    """For each fold what remains and what it holds; the folds partition the pool, indices `(N,)`.

    Scikit-learn's stratified k-fold, shuffled; where the data has groups or known copies these are dealt out,
    so that folds are as even as whole groups allow.

    Raises:
        GraftError: a class has fewer images than there are folds, or the pool fewer groups.
    """
    labels = data.samples.labels[pool]
    classes, counts = divisible(data, pool)
    if not len(pool) or counts.min() < folds:
        name = data.class_names[classes[counts.argmin()]] if len(pool) else "any"
        number = int(counts.min()) if len(pool) else 0
        what = "images" if data.pictures is None else "images that are no copies of each other"
        raise GraftError(
            f"folds={folds}: class {name} has {number} {what}, too few for {folds} folds; {_fewer(number)}"
        )
    if data.together is None:
        from sklearn.model_selection import StratifiedKFold

        pairs = StratifiedKFold(folds, shuffle=True, random_state=seed).split(pool, labels)
        return [(pool[others], pool[held]) for others, held in pairs]
    table, group_of = counts_of([data.together[index] for index in pool], labels, len(data.class_names))
    if (number := len(table)) < folds:
        raise GraftError(f"folds={folds}: {number} groups are too few for {folds} folds; {_fewer(number)}")
    fold_of = deal(table, folds, np.random.default_rng(seed))[group_of]
    return [(pool[fold_of != fold], pool[fold_of == fold]) for fold in range(folds)]


def _fewer(most: int) -> str:
    return f"give folds={most}" if most > 1 else "add images, or take it out"
