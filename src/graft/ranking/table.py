"""The rows of a ranking put in order, and beside what fine-tuning reached."""

from collections.abc import Sequence

from graft.configuration.schema import Config
from graft.errors import GraftError
from graft.ranking.candidates import Candidate
from graft.ranking.reached import reached_by
from graft.reporting.ranking import Row
from graft.transferability import rank_correlations
from graft.transferability.scores import NAMES


def rank_key(row: Row) -> tuple[bool, float, float]:
    """By which rows are sorted, the best first.

    Of equal probes LogME decides, which goes on where all images are told apart.
    """
    return row["probe"] is None, -(row["probe"] or 0), -(row["logme"] or 0)


def placed(rows: Sequence[Row]) -> list[Row]:
    """The rows, the best linear probe first, each with its place; those left out come last, without one.

    Raises:
        GraftError: all are left out.
    """
    if all(row["reason"] for row in rows):
        reasons = "; ".join(f"{row['backbone']}: {row['reason']}" for row in rows)
        raise GraftError(f"no backbone could be ranked: {reasons}")
    ordered = sorted(rows, key=rank_key)
    return [{**row, "place": None if row["reason"] else place} for place, row in enumerate(ordered, start=1)]


def with_reached(
    rows: Sequence[Row], candidates: Sequence[Candidate], tuned: Sequence[tuple[Config, float]]
) -> list[Row]:
    """Each candidate's row with what fine-tuning its backbone reached, `fine_tuned`, and in how many runs.

    Where a row is a stage's, that of the last stage, whose features a head was trained on.
    """
    node_of = {candidate.label: candidate.node for candidate in candidates}
    last: dict[str, int] = {}
    for row in rows:
        last[row["backbone"]] = max(last.get(row["backbone"], 0), row.get("stages") or 0)
    reached: list[Row] = []
    for row in rows:
        inner = (row.get("stages") or 0) < last[row["backbone"]]
        found = None if inner else reached_by(node_of[row["backbone"]], tuned)
        accuracy, runs = found or (None, None)
        reached.append({**row, "fine_tuned": accuracy, "runs": runs})
    return reached


def correlated(rows: Sequence[Row]) -> list[Row]:
    """How well each score's order is that of what fine-tuning reached; nothing where too few were."""
    table: list[Row] = []
    for name in NAMES:
        both = [row for row in rows if row[name] is not None and row["fine_tuned"] is not None]
        if agrees := rank_correlations([row[name] for row in both], [row["fine_tuned"] for row in both]):
            table.append({"score": name, **agrees._asdict()})
    return table
