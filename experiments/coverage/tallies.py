"""Counting how often intervals hold a known value."""

from collections import defaultdict
from typing import Any

# Of interest only where some of the sets have an interval: what happens to fewer is an event that is itself
# unlikely, such as ten errors where two are expected, and no interval covers given that.
RARE = 0.05
ROUNDING = 1e-9


class Tally:
    """Intervals of several metrics, as they come."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = defaultdict(int)
        self.given: dict[str, list[tuple[float, float, float]]] = defaultdict(list)

    def add(self, key: str, ends: tuple[float, float] | None, truth: float) -> None:
        """Count an interval, or that there is none."""
        self.asked[key] += 1
        if ends is not None:
            self.given[key].append((*ends, truth))

    def rows(self, sets: int) -> list[dict[str, Any]]:
        """For each metric the share of sets that have an interval, and the share of these with the truth."""
        found = []
        for key, asked in self.asked.items():
            given = self.given[key]
            row: dict[str, Any] = {"metric": key, "sets": sets, "given": round(len(given) / asked, 4)}
            if given:
                high = sum(low - ROUNDING > truth for low, _, truth in given) / len(given)
                low = sum(truth > top + ROUNDING for _, top, truth in given) / len(given)
                row |= {
                    "covered": round(1 - high - low, 4),
                    "too_high": round(high, 4),
                    "too_low": round(low, 4),
                    "width": round(sum(top - low for low, top, _ in given) / len(given), 4),
                }
            found.append(row)
        return found


def goal(images: int) -> float:
    """The share of intervals that must hold the truth."""
    return 0.93 if images >= 100 else 0.91


def verdict(row: dict[str, Any]) -> str:
    """`none`, `rare`, `good` or `short`, of a row."""
    given = float(row["given"])
    if not given:
        return "none"
    if given < RARE:
        return "rare"
    return "good" if float(row["covered"]) >= goal(int(row["images"])) else "short"
