"""What 2,139 published fine-tunings say of the settings, as one table.

    python curves.py FOLDER   # with tasks.csv, runs.csv and curves.csv (Quick-Tune's extended meta-data set)

Every setting of those runs was drawn at random, so a linear fit tells them apart: a run's best validation
accuracy as a share of its task's best, on indicators of every setting's values, the task and the network.
Each row of the table is a value against the first of its setting; its interval is 1.96 standard deviations
over 400 draws of the 18 tasks with replacement. Rates are fitted within each family of optimizers, and
weight decay apart where it is decoupled, for they mean different things there.
"""

import csv
import sys
from pathlib import Path

import numpy as np

DRAWS = 400
ADAPTIVE = ("adam", "adamw", "adamp")
DECOUPLED = ("adamw", "adamp")
SETTINGS = (
    "family",
    "lr, sgd",
    "lr, adaptive",
    "layer_decay",
    "pct_to_freeze",
    "batch_size",
    "weight_decay, coupled",
    "weight_decay, decoupled",
    "warmup_epochs",
    "smoothing",
    "mixup",
    "drop",
    "stoch_norm",
    "sp_reg",
    "delta_reg",
    "bss_reg",
    "cotuning_reg",
    "data_augmentation",
    "sched",
)


def main(folder: str) -> None:
    """Read, fit, print."""
    runs, share = read(Path(folder))
    print(
        f"{len(runs)} runs, {len({run['task'] for run in runs})} tasks, "
        f"{len({run['model'] for run in runs})} networks"
    )
    families = sorted({run["opt"] for run in runs})
    print("optimizers:", ", ".join(f"{name} {sum(run['opt'] == name for run in runs)}" for name in families))
    columns, matrix = design(runs)
    tasks = np.array([run["task"] for run in runs])
    fitted = fit(matrix, share)
    spread = np.std([fit(*drawn(matrix, share, tasks, seed)) for seed in range(DRAWS)], axis=0)
    print("| setting | value | runs | share of the task's best, against the first value |")
    print("|---|---|---|---|")
    for name, count, first in columns:
        setting, value = name.split("=")
        if first:
            print(f"| `{setting}` | {value} | {count} | 0 |")
        else:
            place = [entry[0] for entry in columns if not entry[2]].index(name)
            print(f"| | {value} | {count} | {fitted[place]:+.3f} ± {1.96 * spread[place]:.3f} |")


def read(folder: Path) -> tuple[list[dict[str, str]], np.ndarray]:
    """The runs, and each one's best accuracy over its task's best."""
    best: dict[str, float] = {}
    with (folder / "curves.csv").open() as file:
        for row in csv.DictReader(file):
            best[row["run"]] = max(best.get(row["run"], 0.0), float(row["accuracy"]))
    with (folder / "runs.csv").open() as file:
        runs = [row for row in csv.DictReader(file) if row["run"] in best]
    tops: dict[str, float] = {}
    for run in runs:
        tops[run["task"]] = max(tops.get(run["task"], 0.0), best[run["run"]])
        run["family"] = "adaptive" if run["opt"] in ADAPTIVE else "sgd"
        run["lr, " + run["family"]] = run["lr"]
        run["weight_decay, decoupled" if run["opt"] in DECOUPLED else "weight_decay, coupled"] = run[
            "weight_decay"
        ]
    return runs, np.array([best[run["run"]] / tops[run["task"]] for run in runs])


def design(runs: list[dict[str, str]]) -> tuple[list[tuple[str, int, bool]], np.ndarray]:
    """The columns' names, counts and whether they are held against; and all indicators."""
    names: list[tuple[str, int, bool]] = []
    columns: list[np.ndarray] = []
    for setting in SETTINGS:
        values = sorted({run[setting] for run in runs if setting in run}, key=ordered)
        for place, value in enumerate(values):
            column = np.array([run.get(setting) == value for run in runs], dtype=float)
            names.append((f"{setting}={value}", int(column.sum()), place == 0))
            if place:
                columns.append(column)
    for fixed in ("task", "model"):
        for value in sorted({run[fixed] for run in runs})[(fixed == "model") :]:
            columns.append(np.array([run[fixed] == value for run in runs], dtype=float))
    return names, np.stack(columns, axis=1)


def ordered(value: str) -> tuple[float, str]:
    """Numbers by size, then words."""
    try:
        return float(value), ""
    except ValueError:
        return float("inf"), value


def drawn(
    matrix: np.ndarray, share: np.ndarray, tasks: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The runs of as many tasks, drawn with replacement."""
    rng = np.random.default_rng(seed)
    names = np.unique(tasks)
    rows = np.concatenate([np.flatnonzero(tasks == name) for name in rng.choice(names, len(names))])
    return matrix[rows], share[rows]


def fit(matrix: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Least squares' coefficients."""
    solution: np.ndarray = np.linalg.lstsq(matrix, share, rcond=None)[0]
    return solution


if __name__ == "__main__":
    main(*sys.argv[1:])
