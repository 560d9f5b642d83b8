"""The interval of how far one model's accuracy lies from another's on the same images."""

import math

import numpy as np
from numpy.typing import NDArray

from graft.evaluation.intervals.proportions import proportion_ends


def paired_ends(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[float, float]:
    """The 95 % interval of the share of images that are right by `first`, minus that by `second`.

    Newcombe 1998, Statistics in Medicine 17, pp. 2635-2650, method 10: from the ends of each proportion's own
    interval, as for independent ones, less what the two have in common by their correlation φ, in which the
    product of the images that both or neither has right is corrected for continuity.

    Args:
        first: `(N,)` whether each image is right, N > 0.
        second: `(N,)` likewise.
    """
    count = len(first)
    both, neither = int((first & second).sum()), int((~first & ~second).sum())
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    rights = np.array([both + only_first, both + only_second])
    low, high = proportion_ends(rights, count)
    share = rights / count
    down, up = share - low, high - share
    phi = _correlation(both, only_first, only_second, neither)
    difference = float(share[0] - share[1])

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(a * a - 2 * phi * a * b + b * b, 0.0))

    return difference - reach(float(down[0]), float(up[1])), difference + reach(float(up[0]), float(down[1]))


def _correlation(both: int, only_first: int, only_second: int, neither: int) -> float:
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    if not margins:
        return 0.0
    product: float = both * neither - only_first * only_second
    if product > 0:
        product = max(product - (both + only_first + only_second + neither) / 2, 0)
    return product / math.sqrt(margins)
