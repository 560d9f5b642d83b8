"""Figures of an advice: backbones against their cost, how retraining went, the folds in pairs.

Each is drawn twice for the report, on light and on dark paper, and once as a file beside it. They are
narrow, so that their words stay readable on a phone.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.rcsetup import cycler
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from graft.advice.ladder import SOLVED
from graft.configuration.metric_names import metric_of
from graft.configuration.plain_text import in_figure
from graft.configuration.schema import Plain
from graft.reporting.figures import COLOURS, LINES, MARKERS
from graft.runs import files

WIDTH = 5.4
# Of what is too much for a colour of its own; seen on both papers.
GREY = "#8a929b"
# Okabe and Ito's colours again, lightened so that they stand out from dark paper.
ON_DARK = ("#5db7f0", "#f0b03a", "#2fc49a", "#e39ac5", "#b9d9ee", "#f2804a", "#f0f0f0")


def _paper(paper: str, ink: str, line: str, colours: Sequence[str]) -> dict[Any, Any]:
    return {
        "figure.facecolor": paper,
        "axes.facecolor": paper,
        "legend.facecolor": paper,
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.titlecolor": ink,
        "xtick.color": ink,
        "ytick.color": ink,
        "lines.color": ink,
        "axes.edgecolor": line,
        "grid.color": line,
        "axes.prop_cycle": cycler(color=colours),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "legend.frameon": False,
        "font.size": 10.5,
        # The same bytes each time, and the same letters on every machine.
        "svg.hashsalt": "graft",
        "svg.fonttype": "path",
    }


# As `report.css` has them.
LIGHT = _paper("#ffffff", "#22272e", "#c9ced4", COLOURS)
DARK = _paper("#16191d", "#dfe3e8", "#4a525c", ON_DARK)


def backbones(answer: Plain) -> Figure | None:
    """The probe of each backbone with its interval, against milliseconds an image; None for one or none."""
    rows = [
        row
        for row in answer["backbones"]["ranked"]
        if row["probe"] is not None and row["milliseconds"] is not None
    ]
    if len(rows) < 2:
        return None
    rows.sort(key=lambda row: -row["probe"])
    figure, axes = _figure(3.3)
    colours, shown = _colours(), {}
    for place, row in enumerate(rows):
        ends = [[row["probe"] - row["low"]], [row["high"] - row["probe"]]]
        known = place < len(colours)
        look: dict[str, Any] = {"color": GREY, "marker": "."}
        if known:
            look = {"color": colours[place], "marker": MARKERS[place]}
        mark = axes.errorbar(
            row["milliseconds"],
            row["probe"],
            ends,
            linestyle="",
            capsize=2,
            zorder=3 - place / len(rows),
            **look,
        )
        if known:
            shown[row["backbone"]] = mark
    axes.set(xscale="log", xlabel="milliseconds an image (log scale)", ylabel="probe accuracy")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    costs = [row["milliseconds"] for row in rows]
    axes.set_xlim(min(costs) / 1.4, max(costs) * 1.4)
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    _legend(figure, shown, len(rows) - len(shown))
    first = rows[0]
    _title(figure, f"Best by its features: {first['backbone']}, {100 * first['probe']:.1f} %")
    return figure


def trainings(answer: Plain) -> Figure | None:
    """The validation metric by epoch, a line a training, the best head a level; None without a curve."""
    rows = [row for row in answer["retraining"]["trainings"] if row["curve"]]
    curves = [row for row in rows if row["freeze"] != SOLVED.name]
    heads = [row for row in rows if row["freeze"] == SOLVED.name and row["best"] is not None]
    if not curves:
        return None
    goal = answer["question"]["goal"]
    turned = min if metric_of(goal).lower_is_better else max
    curves.sort(key=lambda row: turned(row["curve"]), reverse=turned is max)
    figure, axes = _figure(3.4)
    colours, shown = _colours(), {}
    several = len({row["backbone"] for row in rows}) > 1
    for place, row in enumerate(curves):
        epochs, order = range(1, len(row["curve"]) + 1), 3 - place / len(curves)
        if place >= len(colours):
            axes.plot(epochs, row["curve"], color=GREY, linewidth=0.8, alpha=0.6, zorder=order)
            continue
        mark = MARKERS[place] if len(epochs) < 30 else ""
        (line,) = axes.plot(epochs, row["curve"], LINES[place], color=colours[place], zorder=order)
        line.set(marker=mark, markersize=4)
        shown[f"{row['backbone']}, {row['freeze']}" if several else row["freeze"]] = line
    if heads:
        head = turned(heads, key=lambda row: row["best"])
        name = f"the head alone, {head['backbone']}" if several else "the head alone"
        shown[name] = axes.axhline(head["best"], color=_ink(), linewidth=1.4, linestyle=(0, (6, 3)))
    axes.set(xlabel="epoch (once through the training images)", ylabel=f"validation {_named(goal)}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    _legend(figure, shown, len(curves) - len(colours))
    first = curves[0]
    best = turned(first["curve"])
    place = first["curve"].index(best) + 1
    _title(figure, f"Best: {first['name']}, {100 * best:.1f} % after epoch {place}")
    return figure


def folds(answer: Plain) -> Figure | None:
    """Head alone and retrained on each fold, joined by a line, and their means; None without folds."""
    pairs = (answer["trust"] or {}).get("folds") or []
    if not pairs:
        return None
    goal = answer["question"]["goal"]
    figure, axes = _figure(3.7)
    colours, ink = _colours(), _ink()
    sign = -1 if metric_of(goal).lower_is_better else 1
    won = 0
    for pair in pairs:
        better = sign * (pair["other"] - pair["head"])
        won += better > 0
        look = (colours[2], "-") if better > 0 else (colours[5], "--") if better < 0 else (GREY, ":")
        axes.plot((0, 1), (pair["head"], pair["other"]), look[1], color=look[0], marker="o", markersize=5)
    middles = [mean(pair[one] for pair in pairs) for one in ("head", "other")]
    axes.plot((0, 1), middles, color=ink, linewidth=2.6, marker="D", markersize=7, zorder=3)
    for x, middle, where in ((0, middles[0], "right"), (1, middles[1], "left")):
        axes.annotate(
            f"{100 * middle:.1f} %",
            (x, middle),
            xytext=(-11 if where == "right" else 11, 0),
            textcoords="offset points",
            ha=where,
            va="center",
            weight="bold",
        )
    shown = {
        "better": Line2D([], [], color=colours[2], marker="o", markersize=5),
        "worse": Line2D([], [], color=colours[5], linestyle="--", marker="o", markersize=5),
        "equal": Line2D([], [], color=GREY, linestyle=":", marker="o", markersize=5),
        "mean": Line2D([], [], color=ink, marker="D", linewidth=2.6),
    }
    axes.set_xticks((0, 1), ("the head alone", "retrained"))
    axes.set_xlim(-0.45, 1.45)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel(_named(goal))
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    figure.legend(list(shown.values()), list(shown), loc="outside lower center", ncols=4, fontsize=9.5)
    _title(figure, f"Retraining is better on {won} of {len(pairs)} folds")
    return figure


FIGURES: Mapping[str, Callable[[Plain], Figure | None]] = {
    "backbones": backbones,
    "trainings": trainings,
    "folds": folds,
}


def drawn(answer: Plain) -> dict[str, bytes]:
    """All figures that there is something to draw for, as SVG: `name` on light, `name-dark` on dark paper."""
    pictures: dict[str, bytes] = {}
    for ending, paper in (("", LIGHT), ("-dark", DARK)):
        for name, draw in FIGURES.items():
            with matplotlib.rc_context(paper):
                if (figure := draw(answer)) is not None:
                    pictures[f"{name}{ending}"] = files.svg_of(figure)
    return pictures


def write(answer: Plain, paths: Mapping[str, Path]) -> list[str]:
    """Write the figures as PNG to the paths, which have their names; the names of those that there are."""
    written = []
    for name, path in paths.items():
        with matplotlib.rc_context(LIGHT):
            if (figure := FIGURES[name](answer)) is None:
                path.unlink(missing_ok=True)
                continue
            files.write_figure(path, figure)
        written.append(name)
    return written


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def _colours() -> Sequence[str]:
    """Those that stand out from the paper that is drawn on."""
    colours: Sequence[str] = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    return colours


def _ink() -> str:
    return str(matplotlib.rcParams["text.color"])


def _title(figure: Figure, text: str) -> None:
    figure.suptitle(_wrapped(text, 52), fontsize=11, fontweight="bold", x=0.02, ha="left")


def _legend(figure: Figure, shown: Mapping[str, Any], others: int) -> None:
    """Below the axes, in the order given, long labels on lines of their own; then how many have none."""
    labels = [_wrapped(label, 50) for label in shown]
    handles = list(shown.values())
    if others > 0:
        handles.append(Line2D([], [], color=GREY))
        labels.append(f"the other {others}")
    longest = max(map(len, labels), default=0)
    columns = 3 if longest <= 15 else 2 if longest <= 26 else 1
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=9.5)
    # What is drawn stays as high, however many lines there are below it.
    lines = sum(1 + label.count("\n") for label in labels) / columns
    figure.set_figheight(figure.get_figheight() + 0.19 * lines)


def _percent(value: float, _: object) -> str:
    return f"{100 * value:.4g} %"


def _named(goal: str) -> str:
    return goal.replace("_", " ")


def _wrapped(text: str, width: int) -> str:
    cut = textwrap.shorten(text, 3 * width, placeholder="…") if len(text) > 3 * width else text
    return "\n".join(map(in_figure, textwrap.wrap(cut, width, break_on_hyphens=False)))
