"""A ranking's order: the best probe first, LogME between equals, and last what was left out."""

from typing import Any

import pytest

from graft.errors import GraftError
from graft.ranking.table import placed


def row(name: str, probe: float | None, logme: float | None, reason: str = "") -> dict[str, Any]:
    return {"backbone": name, "probe": probe, "logme": logme, "reason": reason}


def test_the_best_probe_is_first_and_of_equals_the_better_logme() -> None:
    rows = [
        row("weak", 0.7, 0.9),
        row("none", None, None, "no weights"),
        row("strong", 0.9, -0.5),
        row("strong too", 0.9, -0.2),
    ]
    ordered = placed(rows)
    assert [found["backbone"] for found in ordered] == ["strong too", "strong", "weak", "none"]
    assert [found["place"] for found in ordered] == [1, 2, 3, None]


def test_with_nothing_left_it_says_why() -> None:
    with pytest.raises(GraftError, match="no backbone could be ranked: a: no weights; b: no such name"):
        placed([row("a", None, None, "no weights"), row("b", None, None, "no such name")])
