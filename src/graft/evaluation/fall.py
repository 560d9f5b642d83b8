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
    tests = [(test.get(ACCURACY), test.get(f"{ACCURACY}{INTERVAL}")) for test in (before, now)]
    if any(value is None or ends is None for value, ends in tests):
        return {}
    (first, (low, high)), (second, (least, most)) = tests  # type: ignore[misc]
    difference = first - second
    down, up = math.hypot(first - low, most - second), math.hypot(high - first, second - least)
    return {"fall/accuracy": difference, f"fall/accuracy{INTERVAL}": [difference - down, difference + up]}


def told_fall(before: Mapping[str, Any], now: Metrics) -> str:
    """The fall as a sentence; empty where nothing is known of it."""
    if not (fallen := fall(before, now)):
        return ""
    points = 100 * float(fallen["fall/accuracy"])  # type: ignore[arg-type]
    low, high = (100 * end for end in fallen[f"fall/accuracy{INTERVAL}"])  # type: ignore[union-attr]
    than = f"{'less' if points >= 0 else 'more'} than the {before[ACCURACY]:.4f} of its own test"
    how = f"{abs(points):.1f} points {than}"
    return f"accuracy {now[ACCURACY]:.4f}: {how} (95 % interval of the fall {low:.1f} to {high:.1f})"
