"""The table of a ranking: in the terminal, as Markdown and as CSV."""

from collections.abc import Sequence

from rich.table import Table

from graft.configuration.metric_names import ON_TARGET, USUAL
from graft.configuration.plain_text import in_markdown
from graft.configuration.schema import spell
from graft.reporting.groups import ABSENT, Group, Ranking
from graft.reporting.pairs import Difference
from graft.runs.records import Run, Skipped

# Shown beside the metric that orders.
ALWAYS = (USUAL, USUAL.replace("val/", "test/"), ON_TARGET)
NO_INTERVAL = {1: "none from one pair", 2: "none: all differ equally"}
COSTS = {"trainable_parameters": "trainable parameters", "seconds": "seconds"}

Rows = list[list[str]]


def metrics_of(ranking: Ranking) -> list[str]:
    """The metrics that a table shows: what orders, the same of the test, and both accuracies."""
    wanted = dict.fromkeys((ranking.sort, ranking.tested, *ALWAYS))
    return [metric for metric in wanted if any(group.spread(metric).n for group in ranking.groups)]


def cells(ranking: Ranking) -> tuple[list[str], Rows]:
    """Head and rows as text: the keys that differ, how many runs, mean ± standard deviation, costs."""
    metrics = metrics_of(ranking)
    head = ["", *(ranking.shown or ["runs"]), "n", *metrics, *COSTS.values()]
    rows = []
    for place, group in enumerate(ranking.groups, start=1):
        rank = str(place) if ranking.ranked else ""
        values = [group.short.get(key, ABSENT) for key in ranking.shown] or [group.label]
        numbers = [str(group.spread(metric)) for metric in metrics]
        costs = [_cost(group, key) for key in COSTS]
        rows.append([rank, *values, str(len(group.runs)), *numbers, *costs])
    return head, rows


def _cost(group: Group, key: str) -> str:
    value = group.spread(key)
    return f"{value.mean:,.0f}" if value.n else ABSENT


def printed(ranking: Ranking) -> Table:
    """The table for the terminal."""
    head, rows = cells(ranking)
    table = Table(box=None, header_style="bold")
    for place, name in enumerate(head):
        numeric = place > len(ranking.shown or ["runs"])
        heading = name.replace("trainable ", "trainable\n")
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(in_markdown, line)) + " |" for line in lines)


def group_rows(ranking: Ranking) -> list[dict[str, object]]:
    """A group a row: all keys that differ, every metric's mean and deviation; those without a run last."""
    metrics = dict.fromkeys(
        key
        for group in ranking.groups
        for run in group.runs.values()
        for key, value in run.metrics.items()
        if isinstance(value, int | float)
    )
    left = [label for label, _ in ranking.unfinished]
    ended_early = any(run.pruned for group in ranking.groups for run in group.runs.values())
    rows = []
    for place, group in enumerate(ranking.groups, start=1):
        row: dict[str, object] = {"rank": place if ranking.ranked else "", "group": group.label}
        row |= {key: spell(value) for key, value in group.values.items()}
        row |= {"n": len(group.runs), "unfinished": left.count(group.label)}
        if ended_early:
            row["ended early"] = sum(run.pruned > 0 for run in group.runs.values())
        for metric in metrics:
            value = group.spread(metric)
            row[metric] = value.mean if value.n else ""
            row[f"{metric} deviation"] = "" if value.deviation is None else value.deviation
        rows.append(row)
    done = {group.label for group in ranking.groups}
    for label, run in ranking.unfinished:
        if label not in done:
            done.add(label)
            values = {key: spell(value) for key, value in run.config.items() if key in ranking.keys}
            rows.append({"rank": "", "group": label, **values, "n": 0, "unfinished": left.count(label)})
    return rows


def run_rows(ranking: Ranking) -> list[dict[str, object]]:
    """A run a row: its group, what it was repeated over, how it ended, its numbers."""
    every = [(group.label, run) for group in ranking.groups for run in group.runs.values()]
    return [
        {
            "group": label,
            **{key: spell(run.config.get(key)) for key in ranking.over},
            "status": run.status,
            "reason": run.reason,
            **run.metrics,
            "run": str(run.folder.path),
        }
        for label, run in [*every, *ranking.unfinished]
    ]


def left_out(ranking: Ranking, skipped: Sequence[Skipped] = ()) -> list[str]:
    """A line for each run that is not in the table, with the reason; then the notes."""
    lines = [
        f"{run.status}: {label} ({_repetition(ranking, run)}): {run.reason} – {run.folder.path}"
        for label, run in ranking.unfinished
    ]
    lines += [f"skipped: {path}: {reason}" for path, reason in skipped]
    hidden = [key for key in ranking.keys if key not in ranking.shown]
    if hidden:
        lines.append(f"also different, though no word names it (see the CSV): {', '.join(hidden)}")
    return [*lines, *(f"note: {note}" for note in ranking.notes)]


def _repetition(ranking: Ranking, run: Run) -> str:
    return " ".join(f"{key}={spell(run.config.get(key))}" for key in ranking.over)


def difference_cells(compared: Sequence[Difference]) -> tuple[list[str], Rows]:
    """Head and rows of the paired comparisons."""
    head = ["against", "pairs", "ahead by", "95 % interval", "p", "p, corrected"]
    return head, [
        [
            item.second,
            str(item.n),
            f"{item.mean:+.4f}",
            NO_INTERVAL[min(item.n, 2)] if item.low is None else f"{item.low:+.4f} to {item.high:+.4f}",
            *(ABSENT if p is None else f"{p:.3g}" for p in (item.p, item.holm)),
        ]
        for item in compared
    ]
