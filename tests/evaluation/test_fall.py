"""How far an accuracy falls, with an interval that covers."""

import numpy as np
import pytest

from graft.evaluation.fall import fall, told_fall
from graft.evaluation.intervals.proportions import proportion_ends


def outcome(right: int, of: int) -> dict[str, object]:
    low, high = proportion_ends(right, of)
    return {"test/accuracy": right / of, "test/accuracy_ci": [float(low), float(high)]}


def test_newcombes_example() -> None:
    # Newcombe 1998, table II, (a): 56/70 and 48/80 by method 10.
    low, high = fall(outcome(56, 70), outcome(48, 80))["fall/accuracy_ci"]  # type: ignore[misc]
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_it_covers() -> None:
    rng = np.random.default_rng(0)
    right = rng.binomial([[150], [90]], [[0.95], [0.7]], (2, 2000))
    ends = [fall(outcome(a, 150), outcome(b, 90))["fall/accuracy_ci"] for a, b in right.T.tolist()]
    assert np.mean([low <= 0.25 <= high for low, high in ends]) > 0.93  # type: ignore[misc]


def test_nothing_is_said_of_what_is_not_known() -> None:
    assert fall({}, outcome(5, 10)) == {}
    assert told_fall({}, {}) == ""
