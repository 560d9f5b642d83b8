"""How the error falls with the number of images: a power law, and all that fit the measurements as well."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
# Exponents that are tried, and what is known of them before any is measured: one in 20 lies outside of .07
# to 2.4 (https://arxiv.org/abs/1712.00409 has .07 to .35 for networks; heads on features come to 1). A
# coarser grid would miss what a floor of 0 leaves open.
EXPONENTS = np.geomspace(0.03, 3, 150)
USUAL_EXPONENT, FACTOR = 0.4, 2.5
# What is left to gain at the largest size, as shares of all images.
REDUCIBLE = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 800)])
# The 95 % point of χ² with one degree of freedom.
CRITICAL = 3.841


class Estimate(NamedTuple):
    """A number, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PowerLaw:
    """error(n) = a + b n^-c as it fits best, and every other that fits about as well.

    The intervals are profile likelihoods: they hold what any power law says that the measurements do not
    rule out, so that they keep their width where a parameter is at its bound, as of a flat curve.

    Attributes:
        floor: a ≥ 0, what stays however many images there are.
        scale: b ≥ 0.
        exponent: c > 0.
        misfit: χ² a degree of freedom; where above 1 the measurements are no power law, and the intervals
            are wider by its root.
    """

    floor: float
    scale: float
    exponent: float
    misfit: float
    # Over the grid of exponents and of what is reducible at the largest size, (E, R): the ends of the floors
    # that fit; NaN where none does.
    _largest: float
    _lowest: Floats
    _highest: Floats

    def error(self, count: float) -> Estimate:
        """The error of a head of so many images."""
        best = self.floor + self.scale * count**-self.exponent
        reducible = REDUCIBLE * (count / self._largest) ** -EXPONENTS[:, None]
        low, high = np.nanmin(self._lowest + reducible), np.nanmax(self._highest + reducible)
        return Estimate(best, min(best, float(low)), max(best, float(high)))

    def gain(self, count: float, more: float) -> Estimate:
        """How much lower the error of a head of `more` images is than that of one of `count`."""
        best = self.scale * (count**-self.exponent - more**-self.exponent)
        step = (count / self._largest) ** -EXPONENTS - (more / self._largest) ** -EXPONENTS
        gains = np.where(np.isnan(self._lowest), np.nan, REDUCIBLE * step[:, None])
        return Estimate(best, min(best, float(np.nanmin(gains))), max(best, float(np.nanmax(gains))))


def fit_power_law(sizes: ArrayLike, errors: ArrayLike, covariance: ArrayLike) -> PowerLaw:
    """The power law through some measured errors.

    Exponents have a log-normal prior. Of each exponent and reducible error on a grid the best floor is known
    in closed form, so no search can end in a wrong place, which one for all three parameters does.

    Args:
        sizes: `(S,)` numbers of images, S ≥ 3.
        errors: `(S,)` the share that was wrong.
        covariance: `(S, S)` of the errors, over all that is random in them.
    """
    n, e = np.asarray(sizes, np.float64), np.asarray(errors, np.float64)
    weight = np.linalg.inv(np.asarray(covariance, np.float64))
    shape = (n / n[-1]) ** -EXPONENTS[:, None]
    left = e - REDUCIBLE[:, None] * shape[:, None, :]
    # χ² is the quadratic q - 2 a p + a² s in the floor a.
    weighted = left @ weight
    q, p, s = (weighted * left).sum(-1), weighted.sum(-1), weight.sum()
    floor = np.maximum(p / s, 0)
    prior = (np.log(EXPONENTS / USUAL_EXPONENT) / np.log(FACTOR)) ** 2
    chi2 = q - 2 * floor * p + floor**2 * s
    whole = chi2 + prior[:, None]
    best = np.unravel_index(whole.argmin(), whole.shape)
    misfit = float(chi2[best]) / max(1, len(n) - 3)
    room = whole[best] + CRITICAL * max(1.0, misfit) - prior[:, None]
    spread = p**2 - s * (q - room)
    root = np.sqrt(np.where(spread >= 0, spread, np.nan))
    highest = np.where(p + root >= 0, (p + root) / s, np.nan)
    lowest = np.where(np.isnan(highest), np.nan, np.maximum((p - root) / s, 0))
    exponent, reducible = float(EXPONENTS[best[0]]), float(REDUCIBLE[best[1]])
    scale = reducible * float(n[-1]) ** exponent
    return PowerLaw(float(floor[best]), scale, exponent, misfit, float(n[-1]), lowest, highest)
