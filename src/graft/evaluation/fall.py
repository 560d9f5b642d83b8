"""How far an accuracy falls from one test to another, on other samples."""

import math
from collections.abc import Mapping
from typing import Any

from graft.evaluation.assessment import INTERVAL, Metrics

ACCURACY = "test/accuracy"


def fall(before: Mapping[str, Any], now: Mapping[str, Any]) -> Metrics:
    """The accuracy of one test minus that of another, and its 95 % interval; nothing where either lacks.

    Newcombe 1998, Statistics in Medicine 17, pp. 873-890, method 10: the interval of a difference of two
    independent proportions, from the ends of each one's own interval.

    Returns:
        `fall/accuracy`, which is negative where it rises, and `fall/accuracy_ci`.
    """
    first, second = _known(before), _known(now)
    if first is None or second is None:
        return {}
    difference = first[0] - second[0]
    down = math.hypot(first[0] - first[1], second[2] - second[0])
    up = math.hypot(first[2] - first[0], second[0] - second[1])
    return {"fall/accuracy": difference, f"fall/accuracy{INTERVAL}": [difference - down, difference + up]}


def _known(test: Mapping[str, Any]) -> tuple[float, float, float] | None:
    """A test's accuracy and both ends of its interval; None where either lacks."""
    value, ends = test.get(ACCURACY), test.get(f"{ACCURACY}{INTERVAL}")
    return None if value is None or ends is None else (value, *ends)


def told_fall(before: Mapping[str, Any], now: Metrics) -> str:
    """The fall as a sentence; empty where nothing is known of it."""
    fallen: Mapping[str, Any] = fall(before, now)
    if not fallen:
        return ""
    points = 100 * fallen["fall/accuracy"]
    low, high = (100 * end for end in fallen[f"fall/accuracy{INTERVAL}"])
    than = f"{'less' if points >= 0 else 'more'} than the {before[ACCURACY]:.4f} of its own test"
    how = f"{abs(points):.1f} points {than}"
    return f"accuracy {now[ACCURACY]:.4f}: {how} (95 % interval of the fall {low:.1f} to {high:.1f})"
