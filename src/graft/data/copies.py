"""Which images are copies of each other: the same pixels, or the same picture scaled or compressed anew."""

from collections import defaultdict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from graft.data.looks import SIDE, Look, readable

Pairs = list[tuple[int, int]]
# Correlation of the grey values of two images that are to be copies. Among pairs of CIFAR-10 whose hashes are
# near, all that were looked at down to 0.9 were copies; different drawings of a digit reach 0.98.
ALIKE = 0.95
# Of an image with a shorter side below this, px, too little is left to tell a copy from a likeness.
LEAST = SIDE
# Numbers in the matrix of one step of the search, 128 MiB of them.
CELLS = 2**25


def exact_copies(looks: list[Look | str]) -> list[list[int]]:
    """Images that agree in every pixel, as sets of two or more, each and all in order."""
    same: dict[bytes, list[int]] = defaultdict(list)
    for index, look in readable(looks):
        same[look.digest].append(index)
    return [indices for indices in same.values() if len(indices) > 1]


def near_copies(
    looks: list[Look | str], bits: int, report: Callable[[int], None] = lambda done: None
) -> list[list[int]]:
    """Images whose perceptual hashes differ in at most `bits` of 64 and that look alike, as sets.

    A set also holds what is a copy of a copy. Pairs that agree in every pixel do not count, but of two such
    images with a near copy both are in its set. Blank and very small images are left out. Every image is
    compared with every other: seconds for 60,000 images, an hour for a million; `report` is called now and
    then with the number of those that are done.
    """
    same: dict[bytes, list[int]] = defaultdict(list)
    first: dict[bytes, Look] = {}
    for index, look in readable(looks):
        if not look.blank and min(look.width, look.height) >= LEAST:
            same[look.digest].append(index)
            first.setdefault(look.digest, look)
    distinct = list(first.values())
    pairs = alike(
        near_pairs(np.array([look.bits for look in distinct]).reshape(-1, 64), bits, report),
        np.array([look.small for look in distinct]).reshape(-1, SIDE * SIDE),
    )
    members = list(same.values())
    return sorted(sorted(i for member in joined for i in members[member]) for joined in connected(pairs))


def near_pairs(hashes: NDArray[np.bool_], bits: int, report: Callable[[int], None]) -> Pairs:
    """All pairs of rows of `(N, 64)` that differ in at most `bits` places."""
    # With -1 and 1 as digits, 64 minus the product is twice the number of places that differ.
    signs = np.where(hashes, 1, -1).astype(np.float32)
    step = max(1, CELLS // max(1, len(signs)))
    pairs: Pairs = []
    for start in range(0, len(signs), step):
        products = signs[start : start + step] @ signs[start:].T
        rows, others = np.nonzero(products >= 64 - 2 * bits)
        later = others > rows
        pairs += zip((rows[later] + start).tolist(), (others[later] + start).tolist(), strict=True)
        report(min(start + step, len(signs)))
    return pairs


def alike(pairs: Pairs, small: NDArray[np.uint8]) -> Pairs:
    """Those pairs whose rows of `(N, D)` correlate by `ALIKE` or more."""
    grey = small.astype(np.float32)
    grey -= grey.mean(1, keepdims=True)
    grey /= np.linalg.norm(grey, axis=1, keepdims=True).clip(min=1e-6)
    return [(first, second) for first, second in pairs if float(grey[first] @ grey[second]) >= ALIKE]


def connected(pairs: Pairs) -> list[list[int]]:
    """The sets that pairs join: of (1, 2), (2, 5) and (3, 4) these are 1, 2, 5 and 3, 4."""
    if not pairs:
        return []
    # Slow to import, and not needed where there is nothing to join.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes, places = np.unique(np.array(pairs), return_inverse=True)
    ones, others = places.reshape(-1, 2).T
    graph = coo_array((np.ones(len(ones)), (ones, others)), shape=(len(nodes), len(nodes)))
    _, group = connected_components(graph, directed=False)
    sets: dict[int, list[int]] = defaultdict(list)
    for node, label in zip(nodes.tolist(), group.tolist(), strict=True):
        sets[label].append(node)
    return list(sets.values())
