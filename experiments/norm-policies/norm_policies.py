"""What BatchNorm's policies are worth when a network with real ones is fine-tuned.

    PYTHONPATH=experiments/fine-tuning python norm_policies.py TASKS [--report]

Trains what is missing of every arm, draw by draw, on the manifests that `fine-tuning/lite_tasks.py` wrote
below TASKS; then prints the tables and draws the figure. A row a run in `results.csv`; stopped, the same
command goes on. `--report` trains nothing.
"""

import argparse
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lite_tasks import DRAWS, FEW
from matplotlib.figure import Figure
from tuning import Data, Settings, read, tuned
from tuning_report import interval

from graft.backbones import Backbone, timm_backbone
from graft.freezing import Custom, FreezeStrategy, Frozen, Full, LastK
from graft.reporting.figures import COLOURS, GREY, MARKERS
from graft.runs.files import read_csv, write_csv

HERE = Path(__file__).parent
# The last three stages train. Below, BatchNorm stays in training mode, as where `requires_grad` alone is set.
MOVING_BELOW = [
    *({"pattern": f"{stage}.*", "trains": True} for stage in ("block6", "block7", "conv")),
    {"pattern": "*", "trains": False, "norm": "statistics"},
]
ARMS: dict[str, Callable[[], FreezeStrategy]] = {
    "last_k, lower stages frozen whole": lambda: LastK(3),
    "last_k, lower statistics move": lambda: Custom(MOVING_BELOW),
    "full, norm=train": lambda: Full(),
    "full, norm=frozen": lambda: Full("frozen"),
    "full, norm=affine": lambda: Full("affine"),
    "full, norm=statistics": lambda: Full("statistics"),
    "frozen, norm=null": lambda: Frozen(),
    "frozen, norm=statistics": lambda: Frozen("statistics"),
}
# Each arm against the one that Graft ships for its strategy.
AGAINST = {
    "last_k, lower statistics move": "last_k, lower stages frozen whole",
    "full, norm=frozen": "full, norm=train",
    "full, norm=affine": "full, norm=train",
    "full, norm=statistics": "full, norm=train",
    "frozen, norm=statistics": "frozen, norm=null",
}
TASKS = {"photos": "ants and bees", "cifar": "five classes of CIFAR-10", "smears": "a platelet or none"}
Row = dict[str, Any]


def main() -> None:
    """Read the command line, train what is missing, report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks", type=Path)
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    file = HERE / "results.csv"
    rows: list[Row] = list(read_csv(file)) if file.exists() else []
    if not given.report:
        done = {(row["task"], int(row["draw"]), row["arm"]) for row in rows}
        trained = timm_backbone("tf_efficientnet_lite0", "package", image_size=96)
        trained = trained.to(memory_format=torch.channels_last)
        for draw in range(DRAWS):
            for task in FEW:
                missing = [arm for arm in ARMS if (task, draw, arm) not in done]
                data = read(given.tasks, task, draw, trained) if missing else None
                for arm in missing:
                    assert data is not None
                    known = {"task": task, "draw": draw, "arm": arm}
                    rows.append(known | one(trained, ARMS[arm](), data, draw))
                    write_csv(file, rows)
    report(rows)


def one(trained: Backbone, strategy: FreezeStrategy, data: Data, draw: int) -> Row:
    """Train a copy once; beside what it came to, what moved below the last three stages."""
    backbone = copy.deepcopy(trained)
    row = tuned(backbone, strategy, data, Settings(), draw)
    before, after = (
        {name: tensor for stage in list(net.stages)[:-3] for name, tensor in named(net, stage)}
        for net in (trained, backbone)
    )
    own = {name for name, _ in backbone.named_parameters()}
    row["lower parameters moved"] = sum(
        not torch.equal(before[name], after[name]) for name in before if name in own
    )
    # How far a running mean has gone, in standard deviations of its channel.
    shifts = [
        (after[name] - before[name]).abs() / (before[name.replace("mean", "var")] + 1e-3).sqrt()
        for name in before
        if name.endswith("running_mean")
    ]
    return row | {"lower means moved": round(torch.cat(shifts).mean().item(), 4)}


def named(backbone: Backbone, stage: str) -> list[tuple[str, torch.Tensor]]:
    """A stage's tensors by their names in the backbone."""
    return [
        (f"stages.{stage}.{name}", tensor) for name, tensor in backbone.stages[stage].state_dict().items()
    ]


def values(rows: list[Row], arm: str, task: str, metric: str) -> dict[int, float]:
    """A number by draw."""
    return {int(row["draw"]): float(row[metric]) for row in rows if (row["arm"], row["task"]) == (arm, task)}


def gains(rows: list[Row], arm: str, task: str, metric: str) -> list[float]:
    """The arm less what it is held against, draw by draw."""
    ours, theirs = (values(rows, name, task, metric) for name in (arm, AGAINST[arm]))
    return [ours[draw] - theirs[draw] for draw in sorted(ours) if draw in theirs]


def report(rows: list[Row]) -> None:
    """Print the tables, draw the figure."""
    for metric in ("test/accuracy", "test/loss", "last/accuracy", "last/loss"):
        print(f"\n{metric}\n\n| arm | {' | '.join(TASKS.values())} |\n|---|{'---|' * len(TASKS)}")
        for arm in ARMS:
            own = [list(values(rows, arm, task, metric).values()) for task in TASKS]
            print(f"| {arm} | {' | '.join(f'{np.mean(of):.3f} ({len(of)})' for of in own)} |")
        print(f"\n| difference | {' | '.join(TASKS.values())} | over tasks |\n|---|{'---|' * len(TASKS)}---|")
        for arm, other in AGAINST.items():
            said = [interval(gains(rows, arm, task, metric)) for task in TASKS]
            said.append(interval([mean for mean, _ in said]))
            cells = " | ".join(f"{mean:+.3f} ± {half:.3f}" for mean, half in said)
            print(f"| {arm}, less {other} | {cells} |")
    print("\n| arm | lower parameters moved | lower means moved |\n|---|---|---|")
    for arm in ARMS:
        of_arm = [row for row in rows if row["arm"] == arm]
        counts = sorted({int(row["lower parameters moved"]) for row in of_arm})
        shifts = [float(row["lower means moved"]) for row in of_arm]
        print(f"| {arm} | {counts} | {min(shifts)} to {max(shifts)} |")
    figure(rows).savefig(HERE / "figure.png", dpi=120)


def figure(rows: list[Row]) -> Figure:
    """Paired differences of accuracy and loss: a tick a draw, their mean with its interval."""
    drawn = Figure(figsize=(11, 5.5), layout="constrained")
    pair = drawn.subplots(1, 2, sharey=True)
    names = list(AGAINST)
    for axes, metric, what in zip(
        pair, ("test/accuracy", "test/loss"), ("accuracy", "log loss"), strict=True
    ):
        axes.axvline(0, color=GREY, linewidth=1)
        for place, task in enumerate(TASKS):
            style: dict[str, Any] = {"color": COLOURS[place]}
            for index, arm in enumerate(names):
                found, height = gains(rows, arm, task, metric), index + 0.24 * (place - 1)
                # Two draws have an interval that says nothing.
                mean, half = interval(found) if len(found) > 2 else (float(np.mean(found)), 0.0)
                label = TASKS[task] if index == 0 else None
                axes.plot(found, [height] * len(found), "|", markersize=7, **style)
                axes.errorbar(mean, height, xerr=half, fmt=MARKERS[place], capsize=3, label=label, **style)
        axes.set_yticks(range(len(names)), [f"{arm}\nless {AGAINST[arm]}" for arm in names], fontsize=9)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel(f"difference of test {what}")
        axes.grid(alpha=0.3)
    handles, labels = pair[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=len(TASKS))
    return drawn


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
