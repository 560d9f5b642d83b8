"""How much one model gains over another in accuracy, on the same samples."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Right = NDArray[np.bool_]


def gain(before: Right, after: Right, level: float = 0.95) -> tuple[float, float, float]:
    """The accuracy after minus that before, and both ends of its interval.

    Agresti and Min 2005, Statistics in Medicine 24, pp. 729-740: Wald's interval of a difference of paired
    proportions after half a sample is added to each of the four cells, which covers as it says in small sets
    too.

    Args:
        before: `(N,)` whether each sample was right.
        after: `(N,)` the same samples.
        level: of the interval.
    """
    n = len(before)
    won, lost = int((after & ~before).sum()), int((before & ~after).sum())
    more, fewer, of = won + 0.5, lost + 0.5, n + 2
    middle = (more - fewer) / of
    half = stats.norm.ppf((1 + level) / 2) * math.sqrt(more + fewer - (more - fewer) ** 2 / of) / of
    return (won - lost) / n, float(middle - half), float(middle + half)
