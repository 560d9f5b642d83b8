"""How well a score's order agrees with the order of what was reached."""

import math
from collections.abc import Sequence
from typing import NamedTuple

# Two are always in perfect order, or in perfect disorder.
FEWEST = 3


class RankCorrelation(NamedTuple):
    """From −1 to 1.

    Attributes:
        weighted_tau: Kendall's tau in which pairs near the top weigh more (Vigna, WWW 2015).
        spearman: the correlation of the ranks.
        backbones: of how many.
    """

    weighted_tau: float
    spearman: float
    backbones: int


def rank_correlations(scores: Sequence[float], reached: Sequence[float]) -> RankCorrelation | None:
    """Weighted Kendall's tau and Spearman's coefficient of two lists; None where fewer than 3 differ."""
    from scipy.stats import spearmanr, weightedtau

    if len(scores) < FEWEST or len(set(scores)) < 2 or len(set(reached)) < 2:
        return None
    tau = float(weightedtau(scores, reached).statistic)
    rho = float(spearmanr(scores, reached).statistic)
    return None if math.isnan(tau) or math.isnan(rho) else RankCorrelation(tau, rho, len(scores))
