"""Groups of images that may not be divided, drawn or dealt out as near to what is asked as they allow."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from graft.data.sample_data import SampleData
from graft.data.samples import Indices

Counts = NDArray[np.int64]

# Draws of which the nearest is kept: few, so that another seed still draws otherwise; of many groups, which
# are small beside what is drawn, fewer.
DRAWS, STEPS = 10, 10_000
# Numbers that are looked at to exchange two groups; of more groups a single one is near enough.
EXCHANGES = 2_000_000


def kept_together(data: SampleData) -> str:
    """What `SampleData.together` is made of, in words; empty where every image stands alone."""
    kinds = {"groups": data.groups, "copies": data.pictures}
    return " and ".join(kind for kind, given in kinds.items() if given is not None)


def divisible(data: SampleData, indices: Indices) -> tuple[Indices, Indices]:
    """The classes of some images, and of each how many can be divided: copies of one picture count once."""
    labels = data.samples.labels[indices]
    if data.pictures is not None:
        labels = np.unique(np.stack([labels, data.pictures[indices]]), axis=1)[0]
    classes, counts = np.unique(labels, return_counts=True)
    return classes, counts


def one_of_each_picture(data: SampleData, indices: Indices) -> Indices:
    """Of some images, sorted, the first that shows each picture; all where no copies are known."""
    if data.pictures is None:
        return indices
    _, first = np.unique(data.pictures[indices], return_index=True)
    return indices[np.sort(first)]


def together_of(data: SampleData, indices: Indices) -> list[str] | None:
    """For each of some images the name of what no split may divide; None where each of them stands alone."""
    if data.together is None:
        return None
    names = data.together
    found = [names[index] for index in indices.tolist()]
    return found if len(set(found)) < len(found) else None


def counts_of(groups: Sequence[str], labels: NDArray[np.int64], classes: int) -> tuple[Counts, Counts]:
    """Images of each group and class, `(G, C)`, and the group of each image, `(N,)`."""
    _, group_of = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.zeros((group_of.max() + 1, classes), np.int64)
    np.add.at(counts, (group_of, labels), 1)
    return counts, group_of


def draw(counts: Counts, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which groups `(G,)` to take, so that their images are as nearly `share` of all as whole groups allow.

    First some of every class stays, then the number counts, with a class that none is drawn of, and then how
    evenly the classes are drawn. In an order drawn at random each group is taken that brings this nearer;
    then single groups go in and out, or two change places, while that brings the number nearer.
    """
    total = counts.sum(0)
    draws: list[tuple[float, NDArray[np.bool_]]] = []
    for _ in range(min(DRAWS, 1 + STEPS // len(counts))):
        taken = _nearer(counts, _in_order(counts, share, rng.permutation(len(counts))), share)
        draws.append((float(_cost(counts[taken].sum(0), total, share, even=True)), taken))
    return min(draws, key=lambda drawn: drawn[0])[1]


def _cost(drawn: Counts, total: Counts, share: float, *, even: bool) -> NDArray[np.float64] | float:
    """How far `(…, C)` drawn images are from what is asked, in images; never so far as without a class.

    A class that none is drawn of weighs five times what should be drawn of it: so of four patients of one
    class and four of another two are drawn, one of each, where only one and a half were asked for.
    """
    wanted = share * total
    number = drawn.sum(-1)
    cost = 2 * np.abs(number - wanted.sum()) + 5 * ((drawn == 0) * wanted).sum(-1)
    if even:
        cost = cost + np.abs(drawn - wanted).sum(-1) / 2
    # None may be used up, and something must be drawn.
    emptied = ((drawn == total) & (total > 0)).sum(-1) + (number == 0)
    far = cost + emptied * 100.0 * total.sum()
    return far if drawn.ndim > 1 else float(far)


def _in_order(counts: Counts, share: float, order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The groups that, one after another, bring what is drawn nearer."""
    total, drawn = counts.sum(0), np.zeros_like(counts[0])
    taken = np.zeros(len(counts), bool)
    cost = _cost(drawn, total, share, even=True)
    for group in order:
        if (new := _cost(drawn + counts[group], total, share, even=True)) < cost:
            taken[group], drawn, cost = True, drawn + counts[group], new
    return taken


def _nearer(counts: Counts, taken: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """`taken`, changed by a group or two at a time for as long as the number of images comes nearer."""
    total = counts.sum(0)
    taken = taken.copy()
    while True:
        drawn = counts[taken].sum(0)
        best = float(_cost(drawn, total, share, even=False))
        change: list[int] = []
        flips = drawn + np.where(taken[:, None], -counts, counts)
        costs = np.asarray(_cost(flips, total, share, even=False))
        if costs.min() < best:
            best, change = float(costs.min()), [int(costs.argmin())]
        out, into = np.flatnonzero(taken), np.flatnonzero(~taken)
        if 0 < len(out) * len(into) * counts.shape[1] <= EXCHANGES:
            swaps = drawn - counts[out][:, None] + counts[into][None]
            costs = np.asarray(_cost(swaps.reshape(-1, counts.shape[1]), total, share, even=False))
            if costs.min() < best:
                place = int(costs.argmin())
                change = [int(out[place // len(into)]), int(into[place % len(into)])]
        if not change:
            return taken
        taken[change] ^= True


def deal(counts: Counts, folds: int, rng: np.random.Generator) -> Counts:
    """The fold of each group `(G,)`: folds as even as whole groups allow, in number and in each class.

    The largest group first, each goes where the squares of all folds' numbers, of images and of each class,
    grow least; equally large ones come in an order drawn at random.
    """
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(1), kind="stable")]
    names = rng.permutation(folds)
    # A class weighs by its share, else rare ones would decide nothing.
    weights = counts.sum() / np.maximum(counts.sum(0), 1) / counts.shape[1]
    held = np.zeros((folds, counts.shape[1]), np.int64)
    fold_of = np.zeros(len(counts), np.int64)
    for group in order:
        growth = 2 * held.sum(1) * counts[group].sum() + (2 * held * counts[group] * weights).sum(1)
        fold = int(growth.argmin())
        held[fold] += counts[group]
        fold_of[group] = names[fold]
    return fold_of
