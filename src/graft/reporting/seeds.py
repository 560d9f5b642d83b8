"""Several ways to train, each over the same seeds, side by side: a table, a figure, rows for a CSV."""

from collections.abc import Mapping, Sequence
from statistics import mean, median, stdev
from typing import Any

from matplotlib.figure import Figure
from rich.table import Table

Accuracies = Mapping[str, Sequence[float]]
# Okabe and Ito's colours, which most colour-blind people tell apart.
COLOURS = ("#999999", "#56b4e9", "#0072b2", "#e69f00", "#009e73", "#cc79a7")


def seed_table(title: str, accuracies: Accuracies) -> Table:
    """A way a row: mean ± standard deviation over the seeds, median, and each seed's accuracy."""
    table = Table("", "test accuracy", "median", "seeds", title=title)
    for way, values in accuracies.items():
        spread = f"{mean(values):.3f} ± {stdev(values):.3f}"
        table.add_row(way, spread, f"{median(values):.3f}", "  ".join(f"{value:.3f}" for value in values))
    return table


def seed_rows(seeds: Sequence[int], accuracies: Accuracies) -> list[dict[str, Any]]:
    """One row a way and seed: the numbers that table and figure are made of."""
    return [
        {"way": way, "seed": seed, "test/accuracy": value}
        for way, values in accuracies.items()
        for seed, value in zip(seeds, values, strict=True)
    ]


def seed_figure(title: str, accuracies: Accuracies) -> Figure:
    """The means as bars, the seeds as points."""
    figure = Figure(figsize=(6.5, 3.8), layout="constrained")
    axes = figure.subplots()
    means = [mean(values) for values in accuracies.values()]
    colours = [COLOURS[place % len(COLOURS)] for place in range(len(means))]
    axes.bar(list(accuracies), means, color=colours, width=0.6)
    for place, values in enumerate(accuracies.values()):
        axes.plot([place] * len(values), values, "o", color="black", markersize=4)
        text = f"{means[place]:.3f}"
        axes.annotate(text, (place, 0.02), ha="center", color="white", weight="bold")
    seeds = len(next(iter(accuracies.values())))
    axes.set(ylim=(0, 1), ylabel=f"test accuracy (dots: {seeds} seeds)", title=title)
    return figure
