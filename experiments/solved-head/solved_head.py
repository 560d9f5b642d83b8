"""The study's table and figure, from the tables that `draws.py` leaves.

    .venv/bin/python experiments/solved-head/solved_head.py outputs/solved-head

Prints the table as Markdown; writes `results.csv` and `figure.png` beside this file.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import ttest_1samp

from graft.runs.files import read_csv, write_csv

HERE = Path(__file__).parent
TASKS = {
    "photos": "ants and bees from ImageNet",
    "digits": "handwritten digits from drawn ones",
    "cifar10": "5 classes of CIFAR-10 from the other 5",
}
WAYS = {"0.2": "a fifth validates", "0.0": "nothing validates"}
METRICS = ("accuracy", "log loss", "ECE")
Row = dict[str, Any]


def main(runs: str) -> None:
    """Read, tabulate and draw."""
    rows = [row for task in TASKS for row in read_csv(Path(runs) / f"{task}.csv")]
    write_csv(HERE / "results.csv", rows)
    compared = [found for task in TASKS for way in WAYS for found in differences(rows, task, way)]
    print("| task | | labels a class | trained | solved | accuracy | log loss | ECE |")
    print("|---|---|---|---|---|---|---|---|")
    for found in compared:
        cells = [f"{found[key][0]:+.3f} ± {found[key][1]:.3f}" for key in METRICS]
        means = [f"{found[way]:.3f}" for way in ("trained", "solved")]
        print(f"| {' | '.join([found['task'], WAYS[found['way']], found['shots'], *means, *cells])} |")
    for way, named in WAYS.items():
        own = [found for found in compared if found["way"] == way]
        means = [f"{key} {np.mean([found[key][0] for found in own]):+.3f}" for key in METRICS]
        print(f"\nMean over tasks and sizes, {named}: {', '.join(means)}")
    for way in ("solved", "trained"):
        own = [row for row in rows if row["way"] == way and row["ECE with temperature"]]
        for key in METRICS[1:]:
            gain = np.array([float(row[f"{key} with temperature"]) - float(row[key]) for row in own])
            print(f"What a temperature adds to {key}, {way}: {gain.mean():+.4f} ± {half(gain):.4f}")
    figure(compared).savefig(HERE / "figure.png", dpi=120)


def differences(rows: list[Row], task: str, way: str) -> list[Row]:
    """Of each size: the accuracies, and solved less trained with half a 95 % t interval, paired by draw.

    Where a fifth validates, the trained head's probabilities are those after its temperature.
    """
    own = [row for row in rows if (row["task"], row["validated"]) == (task, way)]
    found = []
    for shots in dict.fromkeys(row["shots"] for row in own):
        solved, trained = (
            sorted((r for r in own if (r["way"], r["shots"]) == (name, shots)), key=lambda r: int(r["draw"]))
            for name in ("solved", "trained")
        )
        summary: Row = {"task": task, "way": way, "shots": shots}
        for name, part in (("solved", solved), ("trained", trained)):
            summary[name] = float(np.mean([float(row["accuracy"]) for row in part]))
        for key in METRICS:
            theirs = [row.get(f"{key} with temperature") or row[key] for row in trained]
            difference = np.array([row[key] for row in solved], float) - np.array(theirs, float)
            summary[key] = (float(difference.mean()), half(difference))
        found.append(summary)
    return found


def half(values: "np.ndarray[Any, Any]") -> float:
    """Half the width of the mean's 95 % t interval."""
    if np.ptp(values) == 0:
        return 0.0
    interval = ttest_1samp(values, 0).confidence_interval()
    return float(interval.high - interval.low) / 2


def figure(compared: list[Row]) -> Figure:
    """Solved less trained, in accuracy, against the labels a class: a panel a task."""
    drawn = Figure(figsize=(11, 4), layout="constrained")
    panels = drawn.subplots(1, len(TASKS), sharey=True)
    for axes, (task, title) in zip(panels, TASKS.items(), strict=True):
        for shift, way, marker in zip((0.97, 1.03), WAYS, ("o", "s"), strict=True):
            own = [found for found in compared if (found["task"], found["way"]) == (task, way)]
            means, widths = zip(*(found["accuracy"] for found in own), strict=True)
            shots = [int(found["shots"]) * shift for found in own]
            axes.errorbar(shots, means, widths, marker=marker, capsize=3, label=WAYS[way])
        axes.axhline(0, color="grey", linewidth=1)
        axes.set(xscale="log", xlabel="labelled images a class")
        axes.set_title(title, fontsize=10)
        axes.legend()
    panels[0].set_ylabel("test accuracy, solved less trained")
    return drawn


if __name__ == "__main__":
    main(sys.argv[1])
