"""A word of warning beside an interval that rests on few errors."""

from collections.abc import Mapping
from typing import Any

# With fewer, one error more or less moves the interval by as much as many a difference that people report.
FEW = 10


def few_errors(metrics: Mapping[str, Any]) -> str:
    """Such as `3 errors: the interval rests on few`; empty where there are `FEW` or more, or no test."""
    count = metrics.get("test/errors")
    if count is None or count >= FEW:
        return ""
    said = "no errors" if not count else "1 error" if count == 1 else f"{count} errors"
    return f"{said}: the interval rests on few"
