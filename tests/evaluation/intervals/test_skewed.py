"""Intervals of losses."""

import numpy as np
import pytest
from scipy import stats

from graft.evaluation.intervals.skewed import hall_ends, mean_ends


def test_without_skewness_it_is_students():
    values = np.concatenate([np.linspace(0, 2, 50)])
    known = stats.t.interval(0.95, 49, values.mean(), stats.sem(values))
    assert mean_ends(values, 10) == pytest.approx(known, rel=2e-3)
    assert tuple(map(float, hall_ends(1.0, 0.1, 0.0, 2.0))) == pytest.approx((0.8, 1.2))


def test_skewness_moves_the_upper_end_up():
    values = np.random.default_rng(0).exponential(size=40)
    low, high = mean_ends(values, 10)
    known = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert low == pytest.approx(known[0])
    assert high > known[1] + 0.02


def test_halls_transformation_is_undone():
    """The t at each end, transformed as in his paper, is the quantile."""
    value, error, skew = 1.0, 0.1, 0.4
    for end, expected in zip(hall_ends(value, error, skew, 2.0), (2.0, -2.0), strict=True):
        t = (value - end) / error
        assert t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6 == pytest.approx(expected)


def test_few_errors_leave_none():
    values = np.random.default_rng(0).exponential(size=40)
    assert mean_ends(values, 3) is None
    assert mean_ends(values, 4) is not None
    assert mean_ends(np.ones(10), 5) is None
    assert mean_ends(np.ones(1), 1) is None
