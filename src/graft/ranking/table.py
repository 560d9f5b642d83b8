"""The rows of a ranking put in order, and beside what fine-tuning reached."""

from collections.abc import Mapping, Sequence
from typing import Any

from graft.errors import GraftError
from graft.ranking.candidates import Candidate
from graft.ranking.measuring import Row
from graft.ranking.reached import reached_by
from graft.transferability import rank_correlations
from graft.transferability.scores import NAMES


def placed(rows: Sequence[Row]) -> list[Row]:
    """The rows, the best linear probe first, each with its place; those left out come last, without one.

    Raises:
        GraftError: all are left out.
    """
    if all(row["reason"] for row in rows):
        reasons = "; ".join(f"{row['backbone']}: {row['reason']}" for row in rows)
        raise GraftError(f"no backbone could be ranked: {reasons}")
    # Of equal probes LogME decides, which goes on where all images are told apart.
    ordered = sorted(rows, key=lambda row: (row["probe"] is None, -(row["probe"] or 0), -(row["logme"] or 0)))
    return [{**row, "place": None if row["reason"] else place} for place, row in enumerate(ordered, start=1)]


def with_reached(
    rows: Sequence[Row], candidates: Sequence[Candidate], tuned: Sequence[tuple[dict[str, Any], float]]
) -> list[Row]:
    """Each row with what fine-tuning its backbone reached, `fine_tuned`, and in how many runs.

    Args:
        rows: any.
        candidates: those that they tell of.
        tuned: from `graft.ranking.reached.fine_tuned`.
    """
    node_of: Mapping[str, Any] = {candidate.label: candidate.node for candidate in candidates}
    reached = [reached_by(node_of[row["backbone"]], tuned) or (None, None) for row in rows]
    return [
        {**row, "fine_tuned": accuracy, "runs": runs}
        for row, (accuracy, runs) in zip(rows, reached, strict=True)
    ]


def correlated(rows: Sequence[Row]) -> list[Row]:
    """How well each score's order is that of what fine-tuning reached; nothing where too few were."""
    table = []
    for name in NAMES:
        both = [row for row in rows if row[name] is not None and row["fine_tuned"] is not None]
        if agrees := rank_correlations([row[name] for row in both], [row["fine_tuned"] for row in both]):
            table.append({"score": name, **agrees._asdict()})
    return table
