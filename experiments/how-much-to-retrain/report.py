"""The study's table and figure, from the run folders of `run.sh`.

    .venv/bin/python experiments/how-much-to-retrain/report.py outputs/how-much-to-retrain

Prints the table as Markdown; writes `results.csv` and `figure.png` beside this file.
"""

import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib.figure import Figure

from graft.runs import RunFolder
from graft.runs.files import write_csv

HERE = Path(__file__).parent


def main(runs: str) -> None:
    """Read, tabulate and draw."""
    rows = [row for sweep in sorted(Path(runs).iterdir()) if sweep.is_dir() for row in read(sweep)]
    write_csv(HERE / "results.csv", rows)
    ways = sorted({row["freeze"] for row in rows}, key=lambda way: parameters(rows, way))
    print("| `freeze=` | test accuracy, mean ± deviation | seeds | trainable parameters | seconds |")
    print("|---|---|---|---|---|")
    for way in ways:
        own = [row for row in rows if row["freeze"] == way]
        accuracies = [row["test/accuracy"] for row in own]
        seeds = " ".join(f"{accuracy:.3f}" for accuracy in accuracies)
        spread = f"{mean(accuracies):.3f} ± {stdev(accuracies):.3f}"
        seconds = mean(row["seconds"] for row in own)
        print(f"| `{way}` | {spread} | {seeds} | {parameters(rows, way):,} | {seconds:.0f} |")
    figure(rows, ways).savefig(HERE / "figure.png", dpi=120)


def read(sweep: Path) -> list[dict[str, Any]]:
    """One row a finished run: the strategy, the seed, and what came out."""
    runs = [RunFolder.open(file.parent) for file in sorted(sweep.rglob("status.json"))]
    keys = ("test/accuracy", "val/loss", "trainable_parameters", "seconds")
    return [
        {"freeze": sweep.name, "seed": run.read_config()["seed"], **{key: run.metrics[key] for key in keys}}
        for run in runs
        if run.status()["status"] == "finished"
    ]


def parameters(rows: list[dict[str, Any]], way: str) -> int:
    """How many parameters train at a strategy's end."""
    return max(int(row["trainable_parameters"]) for row in rows if row["freeze"] == way)


def figure(rows: list[dict[str, Any]], ways: list[str]) -> Figure:
    """Every run a dot, the strategies from few trained parameters to many, their means as lines."""
    drawn = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = drawn.subplots()
    for place, way in enumerate(ways):
        own = [row["test/accuracy"] for row in rows if row["freeze"] == way]
        axes.plot(own, [place] * len(own), "o", color="#0072b2", alpha=0.5, markersize=6)
        axes.plot([mean(own)] * 2, [place - 0.3, place + 0.3], color="black", linewidth=2)
    labels = [f"{way}  ({parameters(rows, way):,})" for way in ways]
    axes.set_yticks(range(len(ways)), labels)
    axes.set(xlabel="test accuracy (dots: seeds; lines: means; one image is 0.0065)")
    axes.set_title("Ants and bees, SqueezeNet: by strategy (trainable parameters)")
    axes.grid(axis="x", alpha=0.3)
    return drawn


if __name__ == "__main__":
    main(*sys.argv[1:])
