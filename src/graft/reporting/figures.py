"""Pictures of a ranking: bars with intervals, learning curves, accuracy against what it cost."""

import math
import textwrap
from collections.abc import Sequence
from statistics import mean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from graft.configuration.metric_names import lower_is_better, metric_of
from graft.configuration.plain_text import in_figure
from graft.reporting.findings import thrift
from graft.reporting.groups import Group, Ranking
from graft.reporting.tables import COSTS

# Okabe and Ito's colours, which most colour-blind people tell apart; those of several marks have
# as many markers and one more, so that both together come round later.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000")
MARKERS = "osD^vPX*"
LINES = ("-", "--", "-.", ":", "-", "--", "-.")
GREY = "#999999"


def bars(ranking: Ranking, title: str) -> Figure:
    """The test metric of each group, best on validation at the top: mean, 95 % interval, each run a dot."""
    groups, metric = ranking.groups, ranking.tested
    labels = [_wrapped(group.label, 40) for group in groups]
    lines = sum(1 + label.count("\n") for label in labels)
    figure = Figure(
        figsize=(9, 1.9 + 0.13 * len(groups) + 0.19 * max(lines, len(groups))), layout="constrained"
    )
    axes = figure.subplots()
    spreads = [group.spread(metric) for group in groups]
    axes.barh(range(len(groups)), [s.mean for s in spreads], color="#56b4e9", height=0.7)
    ends = [s.high if s.high is not None else s.mean for s in spreads if s.n]
    for place, (group, s) in enumerate(zip(groups, spreads, strict=True)):
        values = [run.metrics[metric] for run in group.runs.values() if metric in run.metrics]
        axes.plot(values, [place + 0.22] * len(values), "o", color="black", markersize=3)
        if s.low is not None and s.high is not None:
            axes.errorbar(s.mean, place, xerr=[[s.mean - s.low], [s.high - s.mean]], color="black", capsize=3)
        axes.annotate(str(s), (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=9)
    axes.set_yticks(range(len(groups)), labels, fontsize=9)
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.set_xlim(0, 1 if metric_of(metric).most == 1 else 1.05 * max(ends, default=1.0))
    several = any(s.n > 1 for s in spreads)
    note = "bar: mean; line: its 95 % interval; dots: runs" if several else "one run each: no interval"
    axes.set_xlabel(f"{_named(metric)} ({note})")
    figure.suptitle(_wrapped(title, 100), fontsize=11)
    return figure


def curves(ranking: Ranking) -> Figure | None:
    """The validation metric epoch by epoch, mean and range over a group's runs; None where no run has epochs.

    Runs that were not validated show the metric of training.
    """
    metric = ranking.sort
    if not any(
        metric in row for group in ranking.groups for run in group.runs.values() for row in run.epochs
    ):
        metric = metric.replace("val/", "train/")
    drawn = [(group, points) for group in ranking.groups if (points := _by_epoch(group, metric))]
    if not drawn:
        return None
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for place, (group, points) in reversed(list(enumerate(drawn))):
        epochs, values = [epoch + 1 for epoch, _ in points], [values for _, values in points]
        middle = [mean(some) for some in values]
        if place >= len(COLOURS):
            axes.plot(epochs, middle, color=GREY, linewidth=0.8, alpha=0.6)
            continue
        colour, mark = COLOURS[place], MARKERS[place] if len(epochs) < 30 else ""
        line, *_ = axes.plot(epochs, middle, LINES[place], label=group.label, color=colour)
        line.set(marker=mark, markersize=4)
        if len(group.runs) > 1:
            axes.fill_between(
                epochs, list(map(min, values)), list(map(max, values)), color=colour, alpha=0.15
            )
    _legend(figure, axes, len(drawn))
    band = "; band: lowest to highest run" if any(len(group.runs) > 1 for group, _ in drawn) else ""
    axes.set(xlabel=f"epoch (line: mean over the runs{band})", ylabel=_named(metric))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    figure.suptitle(_wrapped(_curve_title(ranking, metric, drawn), 100), fontsize=11)
    return figure


def costs(ranking: Ranking) -> Figure:
    """The test metric against trainable parameters and against seconds of training, a group a mark."""
    figure = Figure(figsize=(10, 5.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (cost, unit) in zip(panels, COSTS.items(), strict=True):
        for place, group in reversed(list(enumerate(ranking.groups))):
            spent, reached = group.spread(cost), group.spread(ranking.tested)
            if not spent.n or not reached.n:
                continue
            look = {"color": GREY, "marker": "."}
            if place < len(COLOURS):
                look = {"color": COLOURS[place], "marker": MARKERS[place], "label": group.label}
            axes.errorbar(spent.mean, reached.mean, reached.deviation, capsize=2, linestyle="", **look)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        if cost == "seconds":
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.grid(alpha=0.3)
        axes.set_xlabel(
            "trainable parameters (log scale)" if cost != "seconds" else "training time, s (log scale)"
        )
        axes.set_title(_wrapped(thrift(ranking, cost, unit), 50), fontsize=10)
    panels[0].set_ylabel(f"{_named(ranking.tested)} (line: ± 1 deviation)")
    _legend(figure, panels[0], len(ranking.groups))
    return figure


def _by_epoch(group: Group, metric: str) -> list[tuple[int, list[float]]]:
    """Epoch, counted from 0, and the runs' values then."""
    values_of: dict[int, list[float]] = {}
    for run in group.runs.values():
        for row in run.epochs:
            if metric in row and math.isfinite(row[metric]):
                values_of.setdefault(int(row["epoch"]), []).append(row[metric])
    return sorted(values_of.items())


def _curve_title(
    ranking: Ranking, metric: str, drawn: Sequence[tuple[Group, list[tuple[int, list[float]]]]]
) -> str:
    """Where the first group's mean is best."""
    group, points = drawn[0]
    choose = min if lower_is_better(metric) else max
    epoch, values = choose(points, key=lambda point: mean(point[1]))
    first = f"the best on validation, {group.label}," if ranking.ranked and len(drawn) > 1 else group.label
    text = f"{first} is at its best {_named(metric)} of {mean(values):.3f} in epoch {epoch + 1}"
    return text[0].upper() + text[1:] if text.startswith("the ") else text


def _legend(figure: Figure, axes: Axes, count: int) -> None:
    """Below the axes, best first, long labels on lines of their own."""
    handles, labels = axes.get_legend_handles_labels()
    handles, labels = handles[::-1], [_wrapped(label, 100) for label in labels[::-1]]
    if count > len(COLOURS):
        handles.append(axes.plot([], [], color=GREY)[0])
        labels.append(f"the other {count - len(COLOURS)}")
    longest = max(map(len, labels), default=0)
    columns = 3 if longest <= 28 else 2 if longest <= 45 else 1
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=9)


def _named(metric: str) -> str:
    """`test/f1_macro` as `test F1 macro`, with its unit where it has one."""
    part, _, name = metric.partition("/")
    return f"{ {'val': 'validation', 'train': 'training'}.get(part, part) } {name.replace('_', ' ')}"


def _wrapped(text: str, width: int) -> str:
    return "\n".join(map(in_figure, textwrap.wrap(text, width, break_on_hyphens=False)))
