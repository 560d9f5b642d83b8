"""The study's table and figure, from `plain.csv` and the sweeps `recipe` and `defaults`.

    .venv/bin/python experiments/lenet_cifar10/lenet_report.py outputs/lenet_cifar10

Prints the table as Markdown; writes `results.csv` and `figure.png` beside this file.
"""

import sys
from pathlib import Path
from statistics import mean, stdev

from matplotlib.figure import Figure

from graft.reporting.figures import COLOURS, GREY
from graft.runs.files import read_csv, write_csv, write_figure
from graft.runs.records import find_runs

HERE = Path(__file__).parent
WAYS = {"plain": "the article's loop", "recipe": "the recipe", "defaults": "the defaults"}


def main(runs: str) -> None:
    """Read, tabulate and draw."""
    rows: list[dict[str, object]] = [dict(row) for row in read_csv(Path(runs, "plain.csv"))]
    for way in ("recipe", "defaults"):
        for run in sorted(find_runs(str(Path(runs, way)))[0], key=lambda run: int(str(run.config["seed"]))):
            rows.append(
                {"way": way, "seed": run.config["seed"], "test/accuracy": run.metrics["test/accuracy"]}
            )
    write_csv(HERE / "results.csv", rows)
    accuracies = {
        way: [float(str(row["test/accuracy"])) for row in rows if row["way"] == way] for way in WAYS
    }
    print("| | test accuracy, mean ± deviation | seeds 0 to 2 |\n|---|---|---|")
    for way, values in accuracies.items():
        seeds = " ".join(f"{value:.3f}" for value in values)
        print(f"| {WAYS[way]} | {mean(values):.3f} ± {stdev(values):.3f} | {seeds} |")
    write_figure(HERE / "figure.png", figure(accuracies))


def figure(accuracies: dict[str, list[float]]) -> Figure:
    """A bar for the mean of each way, a dot a seed."""
    drawn = Figure(figsize=(6.5, 3.8), layout="constrained")
    axes = drawn.subplots()
    names = [WAYS[way] for way in accuracies]
    bars = axes.bar(
        names, [mean(values) for values in accuracies.values()], color=[GREY, *COLOURS], width=0.6
    )
    axes.bar_label(bars, fmt="%.3f", label_type="center", color="white", weight="bold")
    for name, values in zip(names, accuracies.values(), strict=True):
        axes.plot([name] * len(values), values, "o", color="black", markersize=4)
    axes.set(ylim=(0, 1), ylabel="test accuracy (dots: 3 seeds)")
    axes.set_title("LeNet-like network on CIFAR-10, 10 epochs")
    return drawn


if __name__ == "__main__":
    main(*sys.argv[1:])
