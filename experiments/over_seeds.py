"""The table and figure of a study: several sweeps over the same seeds, side by side.

    .venv/bin/python experiments/over_seeds.py STUDY TITLE "WAY=SWEEP FOLDER" "WAY=SWEEP FOLDER" ...

Reads the run folders below each sweep folder; writes `results.csv` and `figure.png` into the folder STUDY.
"""

import sys
from pathlib import Path

from rich.console import Console

from graft.reporting import seed_figure, seed_rows, seed_table
from graft.runs import RunFolder
from graft.runs.files import write_csv


def main(study: str, title: str, *ways: str) -> None:
    """Read, tabulate and draw."""
    found = {way: by_seed(Path(folder)) for way, _, folder in (word.partition("=") for word in ways)}
    seeds = sorted(next(iter(found.values())))
    accuracies = {way: [results[seed] for seed in seeds] for way, results in found.items()}
    write_csv(Path(study) / "results.csv", seed_rows(seeds, accuracies))
    seed_figure(title, accuracies).savefig(Path(study) / "figure.png", dpi=120)
    Console(width=120).print(seed_table(title, accuracies))


def by_seed(sweep: Path) -> dict[int, float]:
    """Seed to test accuracy of the finished runs below a folder."""
    runs = [RunFolder.open(file.parent) for file in sorted(sweep.rglob("status.json"))]
    finished = [run for run in runs if run.status()["status"] == "finished"]
    return {run.read_config()["seed"]: run.metrics["test/accuracy"] for run in finished}


if __name__ == "__main__":
    main(*sys.argv[1:])
