"""How long models take, as a table, a page and a figure.

A row is a mapping: `run`, `engine`, `batch`, `network_p50_ms` and so on, `whole_p50_ms` and so on,
`images_per_second`, `memory_bytes`, `file_bytes`, `accuracy`, `accuracy_low`, `accuracy_high`, `accuracy_of`;
of what was not measured, `reason`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter
from rich.console import Console
from rich.table import Table

from graft.configuration.plain_text import in_figure, in_markdown
from graft.reporting.figures import COLOURS, MARKERS
from graft.reporting.tables import markdown

Row = Mapping[str, Any]
WHATS = {"network": "network alone", "whole": "with decoding, preprocessing"}
NOTES = """\
- **p50**, **p95**, **p99**: so many per cent of the calls took no longer, milliseconds; a call is a batch.
  *Network*: from prepared inputs to logits. *Whole*: from files, which the system may hold in its cache, to
  probabilities.
- **images/s**: the batch by the p50 of the network. The second batch of an engine is the one with the most.
- **memory**: the most that a process held that did nothing else, with Python and the libraries it imported.
- **accuracy**: of the run's test, else its validation (val), with its 95 % interval; of int8 the latter."""


def csv_rows(rows: Iterable[Row]) -> list[dict[str, object]]:
    """The rows with numbers of six digits; what is not known is left empty."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return [{key: _six_digits(row.get(key)) for key in columns} for row in rows]


def _six_digits(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else value


def _cells(row: Row) -> dict[str, str]:
    """Heading to text."""
    cells = {"engine": str(row["engine"]), "batch": str(row["batch"])}
    for what in WHATS:
        for share in (50, 95, 99):
            value = row.get(f"{what}_p{share}_ms")
            cells[f"{what} p{share}"] = (
                "" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"
            )
    cells["images/s"] = (
        f"{row['images_per_second']:.3g}"
        if row["images_per_second"] < 100
        else f"{row['images_per_second']:.0f}"
    )
    for key in ("memory", "file"):
        value = row.get(f"{key}_bytes")
        cells[f"{key}, MB"] = (
            "" if value is None else f"{value / 1e6:.3g}" if value < 1e8 else f"{value / 1e6:.0f}"
        )
    return {**cells, "accuracy": _accuracy(row)}


def _accuracy(row: Row) -> str:
    if row.get("accuracy") is None:
        return ""
    text = f"{row['accuracy']:.3f}"
    if row.get("accuracy_low") is not None:
        text += f" ({row['accuracy_low']:.3f} to {row['accuracy_high']:.3f})"
    return text if row["accuracy_of"] == "test" else f"{text} {row['accuracy_of']}"


def _parts(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """What was measured, and of the rest a line each."""
    measured = [row for row in rows if not row["reason"]]
    return measured, [f"{row['run']}, {row['engine']}: {row['reason']}" for row in rows if row["reason"]]


def show(rows: Sequence[Row], machine: Sequence[str], console: Console) -> None:
    """Print the rows run by run, two tables each so that both fit 80 columns, and what was not measured."""
    measured, left_out = _parts(rows)
    for run in dict.fromkeys(row["run"] for row in measured):
        console.print(f"\n{run}", soft_wrap=True)
        cells = [_cells(row) for row in measured if row["run"] == run]
        times = [head for head in cells[0] if " p" in head and any(row[head] for row in cells)]
        rest = [head for head in cells[0] if head not in times and head not in ("engine", "batch")]
        for heads in (times, rest):
            table = Table("engine", "batch", box=None)
            for head in heads:
                table.add_column(head, justify="right")
            for row in cells:
                table.add_row(row["engine"], row["batch"], *(row[head] for head in heads))
            console.print(table)
    for line in left_out:
        console.print(f"not measured: {line}", soft_wrap=True)
    for line in machine:
        console.print(line, soft_wrap=True)


def page(rows: Sequence[Row], machine: Sequence[str]) -> str:
    """The measurement as Markdown."""
    measured, left_out = _parts(rows)
    lines = ["# How long the models take", ""]
    if measured:
        cells = [{"run": row["run"], **_cells(row)} for row in measured]
        lines += [markdown(list(cells[0]), [list(row.values()) for row in cells]), ""]
        lines += ["![Accuracy against milliseconds](figure.png)", ""]
    lines += [NOTES, "", *(f"- {in_markdown(line)}" for line in machine), ""]
    if left_out:
        lines += ["Not measured:", "", *(f"- {in_markdown(line)}" for line in left_out), ""]
    return "\n".join(lines)


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The places of the points `(milliseconds, accuracy)` that none beats in both, the fastest first.

    Of points that are equal in both the first.
    """
    order = sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1], place))
    best, on = float("-inf"), []
    for place in order:
        if points[place][1] > best:
            best = points[place][1]
            on.append(place)
    return on


def figure(rows: Sequence[Row]) -> Figure:
    """Accuracy against the p50 of a batch of 1, a point a run and engine, with the Pareto front.

    On the left of the network alone, on the right of the way from files to probabilities.
    """
    drawn = [row for row in _parts(rows)[0] if row["batch"] == 1 and row.get("accuracy") is not None]
    runs, engines = (list(dict.fromkeys(row[key] for row in drawn)) for key in ("run", "engine"))
    figure = Figure(figsize=(10, 4.6 + 0.22 * len(runs)), layout="constrained")
    for axes, what in zip(figure.subplots(1, 2, sharey=True), WHATS, strict=True):
        _panel(axes, [row for row in drawn if row.get(f"{what}_p50_ms") is not None], what, runs, engines)
    marks: dict[str, dict[str, Any]] = {
        **{
            in_figure(run): {"color": COLOURS[place % len(COLOURS)], "marker": "s"}
            for place, run in enumerate(runs)
        },
        **{
            engine: {"color": "black", "marker": MARKERS[place], "fillstyle": "none"}
            for place, engine in enumerate(engines)
        },
    }
    axes = figure.axes[0]
    handles = [axes.plot([], [], linestyle="", **look)[0] for look in marks.values()]
    handles.append(axes.plot([], [], color="black", linewidth=1, drawstyle="steps-post")[0])
    labels = [*marks, "Pareto front: none is faster and more accurate"]
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    axes.set_ylabel("accuracy (line: 95 % interval)")
    figure.suptitle(in_figure(_finding(drawn)), fontsize=11)
    return figure


def _panel(axes: Axes, rows: Sequence[Row], what: str, runs: Sequence[str], engines: Sequence[str]) -> None:
    points = [(row[f"{what}_p50_ms"], row["accuracy"]) for row in rows]
    on = front(points)
    axes.plot(
        [points[i][0] for i in on],
        [points[i][1] for i in on],
        color="black",
        linewidth=1,
        drawstyle="steps-post",
    )
    for row, (x, y) in zip(rows, points, strict=True):
        ends = None
        if row.get("accuracy_low") is not None:
            ends = [[y - row["accuracy_low"]], [row["accuracy_high"] - y]]
        look: dict[str, Any] = {
            "color": COLOURS[runs.index(row["run"]) % len(COLOURS)],
            "fmt": MARKERS[engines.index(row["engine"])],
            "capsize": 2,
            "linewidth": 0.8,
        }
        axes.errorbar(x, y, ends, **look)
    axes.set(xscale="log", xlabel=f"p50, ms, one image, {WHATS[what]}")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.1, y=0.1)
    axes.grid(alpha=0.3)


def _finding(rows: Sequence[Row]) -> str:
    """The fastest of those whose accuracy is the highest."""
    if not rows:
        return "no accuracy is known of what was measured"
    best = min(rows, key=lambda row: (-row["accuracy"], row["network_p50_ms"]))
    fastest = min(rows, key=lambda row: row["network_p50_ms"])
    text = (
        f"{_named(best)} has the highest accuracy, {best['accuracy']:.3f}, in {best['network_p50_ms']:.3g} ms"
    )
    if fastest is not best:
        text += f"; {_named(fastest)} takes {fastest['network_p50_ms']:.3g} ms at {fastest['accuracy']:.3f}"
    return text


def _named(row: Row) -> str:
    return f"{row['run']} ({row['engine']})"
