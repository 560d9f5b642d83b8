"""Intervals of a proportion: accuracy, a class's precision, recall and F1."""

import numpy as np
from numpy.typing import ArrayLike

from graft.evaluation.metrics import Floats, Labels
from graft.reporting.few import FEW

Interval = tuple[float, float] | None
# Of the standard normal distribution: 2.5 % lie above it.
NORMAL = 1.959963984540054


def proportion_ends(
    right: ArrayLike, total: ArrayLike, quantile: ArrayLike = NORMAL
) -> tuple[Floats, Floats]:
    """Both ends of the interval of right/total; 0 and 1 where the total is 0.

    Wilson's score interval (Wilson 1927, JASA 22, pp. 209-212). It covers too seldom near 0 and 1, so with
    fewer than `FEW` errors the far end is at least the exact one-sided 95 % bound, as Brown, Cai and DasGupta
    advise (2001, Statistical Science 16, pp. 101-133, section 4.1.1). It is never wider than Clopper and
    Pearson's exact interval.

    Args:
        right: `(…)` counts; an effective count need not be whole.
        total: `(…)` counts.
        quantile: of the normal distribution, or of Student's t where the variance is an estimate.
    """
    from scipy.special import betaincinv

    right, total = np.broadcast_arrays(np.asarray(right, np.float64), np.asarray(total, np.float64))
    defined = total > 0
    n = np.where(defined, total, 1)
    x = np.where(defined, right, 0)
    wrong = n - x
    z = np.asarray(quantile, np.float64)
    share, scale = x / n, 1 + z**2 / n
    middle = (share + z**2 / (2 * n)) / scale
    half = z * np.sqrt(share * wrong / n / n + z**2 / (4 * n**2)) / scale

    def below(x: Floats, wrong: Floats, tail: float) -> Floats:
        # The p at which so many right or more have the probability `tail`.
        ends: Floats = np.where(x > 0, betaincinv(np.where(x > 0, x, 1), wrong + 1, tail), 0.0)
        return ends

    low, high = middle - half, middle + half
    low = np.where((x > 0) & (x < FEW), np.minimum(low, below(x, wrong, 0.05)), low)
    high = np.where((wrong > 0) & (wrong < FEW), np.maximum(high, 1 - below(wrong, x, 0.05)), high)
    if np.all(z == NORMAL):
        low, high = np.maximum(low, below(x, wrong, 0.025)), np.minimum(high, 1 - below(wrong, x, 0.025))
    # To the last digit: rounding must not leave the share itself out.
    low, high = np.clip(np.minimum(low, share), 0, 1), np.clip(np.maximum(high, share), 0, 1)
    return np.where(defined, low, 0.0), np.where(defined, high, 1.0)


def f1_ends(hits: Labels, support: Labels, predicted: Labels) -> tuple[Floats, Floats]:
    """Both ends of the interval of each class's F1, 2 · hits / (support + predicted).

    F1 grows with hits / (support + predicted − hits), which is a proportion: of the images that are the class
    or are taken for it, those where both hold (F* of Hand, Christen and Kirielle 2021, Machine Learning 110,
    pp. 451-456). So the ends of that make the ends of F1.

    Args:
        hits: `(C,)` images of the class that are predicted as such.
        support: `(C,)` images of the class.
        predicted: `(C,)` images predicted as it.
    """
    low, high = proportion_ends(hits, support + predicted - hits)
    return 2 * low / (1 + low), 2 * high / (1 + high)
