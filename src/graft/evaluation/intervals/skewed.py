"""Intervals of means whose terms are skewed: log loss and Brier score."""

import numpy as np
from numpy.typing import ArrayLike

from graft.evaluation.intervals.proportions import Interval
from graft.evaluation.metrics import Floats

# With fewer errors the images that make most of a loss have hardly been seen.
LEAST_ERRORS = 4
# Of a variance that few images make.
LEAST_FREEDOM = 3


def hall_ends(
    value: ArrayLike, error: ArrayLike, skew: ArrayLike, quantile: ArrayLike
) -> tuple[Floats, Floats]:
    """Both ends of the interval of a mean, by Hall's transformation of Student's t.

    Hall 1992, On the removal of skewness by transformation, JRSS B 54, pp. 221-228: the t of a skewed sample
    is made symmetric by a cubic that can be inverted.

    Args:
        value: `(…)` the mean.
        error: `(…)` its standard error.
        skew: `(…)` third central moment of the mean over the cube of its error.
        quantile: `(…)` of Student's t.
    """
    value, error, q = (np.asarray(each, np.float64) for each in (value, error, quantile))
    # Without skewness the cubic is the identity.
    k = np.where(np.abs(skew) < 1e-9, 1e-9, skew)

    def inverted(t: Floats) -> Floats:
        root: Floats = 3 / k * (np.cbrt(1 + k * (t - k / 6)) - 1)
        return root

    return value - inverted(q) * error, value - inverted(-q) * error


def mean_ends(values: Floats, errors: int) -> Interval:
    """The interval of the mean of a loss, which is skewed to the right.

    Its lower end is Student's. Its upper end lies higher by what the skewness moves Student's t (Johnson
    1978, Modified t tests and confidence intervals for asymmetrical populations, JASA 73, pp. 536-544), with
    as many degrees of freedom as the fourth moment leaves, since few images make most of the variance. None
    with fewer than `LEAST_ERRORS` wrong predictions.

    Args:
        values: `(N,)`, at least 0.
        errors: how many of the predictions were wrong.
    """
    from scipy.special import stdtrit

    n = len(values)
    spread = float(values.std(ddof=1)) if n > 1 else 0.0
    if errors < LEAST_ERRORS or not spread:
        return None
    mean, error = float(values.mean()), spread / n**0.5
    apart = values - mean
    skew = float((apart**3).mean() / values.std() ** 3) / n**0.5
    freedom = float(2 * (apart**2).sum() ** 2 / (apart**4).sum())
    quantile = float(stdtrit(min(n - 1, max(freedom, LEAST_FREEDOM)), 0.975))
    moved = max(skew, 0.0) * (1 + 2 * quantile**2) / 6
    return max(0.0, mean - float(stdtrit(n - 1, 0.975)) * error), mean + (quantile + moved) * error
