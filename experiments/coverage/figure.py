"""The figure: coverage of each metric's interval in every cell, as dots, against the goal."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from graft.reporting.figures import COLOURS, MARKERS

SIZES = ("30", "100", "500")
GOAL = {"30": 0.91, "100": 0.93, "500": 0.93}


def drawn(rows: Sequence[dict[str, Any]]) -> Figure:
    """A line a metric and a panel a number of images; hollow where fewer than one set in twenty has one."""
    shown = [row for row in rows if row["covered"]]
    metrics = list(dict.fromkeys(_name(row) for row in shown))[::-1]
    figure = Figure(figsize=(12, 1.5 + 0.24 * len(metrics)), layout="constrained")
    panels = figure.subplots(1, len(SIZES), sharey=True)
    for axes, size in zip(panels, SIZES, strict=True):
        axes.axvline(GOAL[size], color="black", linewidth=1)
        axes.axvspan(GOAL[size], 1.002, color="#56b4e9", alpha=0.12)
        for place, accuracy in enumerate(dict.fromkeys(row["accuracy"] for row in shown)):
            some = [row for row in shown if row["images"] == size and row["accuracy"] == accuracy]
            for rare in (False, True):
                dots = [row for row in some if (row["verdict"] == "rare") == rare]
                axes.plot(
                    [max(0.8, float(row["covered"])) for row in dots],
                    [metrics.index(_name(row)) + 0.12 * (place - 2) for row in dots],
                    MARKERS[place],
                    color=COLOURS[place],
                    markerfacecolor="none" if rare else COLOURS[place],
                    markersize=4,
                    linestyle="none",
                    label="" if rare else f"accuracy {accuracy}",
                )
        axes.set(title=f"{size} images", xlim=(0.795, 1.003), xlabel="share of intervals with the truth")
        axes.grid(alpha=0.3)
    panels[0].set_yticks(range(len(metrics)), metrics, fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    short = sum(row["verdict"] == "short" for row in rows)
    judged = short + sum(row["verdict"] == "good" for row in rows)
    figure.suptitle(
        f"{judged - short} of {judged} reach the goal (line). Hollow: fewer than 1 test set in 20 has one"
    )
    return figure


def _name(row: dict[str, Any]) -> str:
    return str(row["metric"]) if row["study"] == "test" else f"{row['study']}: {row['metric']}"
