"""Do the defaults of fine-tuning hold for networks that come with ImageNet's weights and BatchNorm?

    python lite.py TASKS RUNS [--draws 0,1,2] [--networks …] [--only …] [--settings …] [--report]

EfficientNet-Lite0 and Lite2 on the manifests of `lite_tasks.py`: the frozen network with a solved head
(Graft's own runs, below RUNS), the strategies with two pairs of rates, and what might repair retraining that
costs points (`tuning.py`). A row a run in `lite.csv`; stopped, the same command goes on. Prints the tables.
"""

import argparse
import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from graft_runs import finished, unused
from lite_tasks import FEW
from torch import nn
from tuning import Data, Settings, read, run, tuned
from tuning_report import interval

from graft import train
from graft.backbones import Backbone, timm_backbone
from graft.freezing import FreezeStrategy, Full, LastK, Lora, LpFt
from graft.models import linear
from graft.objective.solving import Labelled, solve
from graft.optim import LBFGS
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv
from graft.tasks import SingleLabel

FILE = Path(__file__).with_name("lite.csv")
SHIPPED, OTHERS = Settings(), Settings(1e-4, 3e-3)
SOLVED, SHIPPED_FULL = "frozen, solved", "full, 3e-4, 1e-2"
FROM_SOLVED = "full, from the solved head"
# TensorFlow's pace of the running statistics, a tenth of timm's.
SLOW = "full, 3e-4, 1e-2, momentum .01"
# A name says the strategy and the rates of backbone and head; 3e-4 and 1e-2 are what is shipped.
SETTINGS: dict[str, tuple[FreezeStrategy, Settings]] = {
    SHIPPED_FULL: (Full(), SHIPPED),
    "full, 1e-4, 3e-3": (Full(), OTHERS),
    "last_k, 3e-4, 1e-2": (LastK(3), SHIPPED),
    "last_k, 1e-4, 3e-3": (LastK(3), OTHERS),
    "lp_ft, 3e-4, 1e-2": (LpFt(5), SHIPPED),
    "lp_ft, 1e-4, 3e-3": (LpFt(5), OTHERS),
    "lora, 3e-4, 1e-2": (Lora(), SHIPPED),
    "lora, 1e-4, 3e-3": (Lora(), OTHERS),
    "full, 3e-5, 3e-3": (Full(), Settings(3e-5, 3e-3)),
    "full, 1e-5, 3e-3": (Full(), Settings(1e-5, 3e-3)),
    "full, 3e-5, 3e-3, norm=frozen": (Full("frozen"), Settings(3e-5, 3e-3)),
    "full, 1e-4, 3e-3, norm=frozen": (Full("frozen"), OTHERS),
    "last_k, 1e-4, 3e-3, norm=frozen": (LastK(3, "frozen"), OTHERS),
    "lp_ft, 1e-4, 3e-3, norm=frozen": (LpFt(5, norm="frozen"), OTHERS),
    "last_k, 3e-5, 3e-3": (LastK(3), Settings(3e-5, 3e-3)),
    "full, 3e-4, 1e-2, layer decay .75": (Full(), Settings(layer_decay=0.75)),
    "full, 3e-4, 1e-2, norm=frozen": (Full("frozen"), SHIPPED),
    "full, 3e-4, 1e-2, norm=affine": (Full("affine"), SHIPPED),
    "full, 1e-4, 3e-3, norm=affine": (Full("affine"), OTHERS),
    SLOW: (Full(), SHIPPED),
    f"{FROM_SOLVED}, 1e-4, 3e-4": (Full(), Settings(1e-4, 3e-4)),
    f"{FROM_SOLVED}, 3e-5, 3e-4, norm=frozen": (Full("frozen"), Settings(3e-5, 3e-4)),
}
Row = dict[str, Any]
# By pair and draw.
Numbers = dict[tuple[str, str], dict[int, float]]


def main() -> None:
    """Read the command line, run what is missing, report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--draws", default="0,1,2")
    parser.add_argument("--networks", default="lite0,lite2")
    parser.add_argument("--only", default=",".join(FEW), help="tasks")
    parser.add_argument("--settings", default=";".join([SOLVED, *SETTINGS]), help="names, with ; between")
    parser.add_argument("--file", type=Path, default=FILE)
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    rows: list[Row] = list(read_csv(given.file)) if given.file.exists() else []
    if not given.report:
        done = {(row["network"], row["task"], int(row["draw"]), row["setting"]) for row in rows}
        for draw in map(int, given.draws.split(",")):
            for network in given.networks.split(","):
                trained = timm_backbone(f"tf_efficientnet_{network}", "package", image_size=96)
                trained = trained.to(memory_format=torch.channels_last)
                for task in given.only.split(","):
                    names = [
                        name for name in given.settings.split(";") if (network, task, draw, name) not in done
                    ]
                    data = read(given.tasks, task, draw, trained) if set(names) - {SOLVED} else None
                    for name in names:
                        if name == SOLVED:
                            row = solved(network, task, draw, given.tasks, given.runs)
                        else:
                            assert data is not None
                            row = one(trained, name, data, draw)
                        rows.append({"network": network, "task": task, "draw": draw, "setting": name} | row)
                        write_csv(given.file, rows)
    report(rows)


def solved(network: str, task: str, draw: int, tasks: Path, runs: Path) -> Row:
    """Graft's run with a frozen backbone as it is shipped."""
    folder = runs / network / task / str(draw)
    if not finished(folder):
        train(
            [
                *("data=csv", f"data.file={tasks / f'{task}-{draw}.csv'}", f"data.root={tasks}"),
                *(f"backbone=efficientnet_{network}", "backbone.image_size=96", "freeze=frozen"),
                *(f"seed={draw}", "trainer=cpu", "logger=none", f"hydra.run.dir={unused(folder)}"),
            ]
        )
    metrics = RunFolder.open(folder).metrics
    parts = ("val/loss", "val/accuracy", "test/accuracy", "test/loss")
    row: Row = {"epoch": ""} | {name: round(float(metrics[name]), 5) for name in parts}
    row |= {"last/accuracy": row["test/accuracy"], "last/loss": row["test/loss"]}
    return row | {"seconds": round(float(metrics["seconds"]), 1)}


def one(trained: Backbone, name: str, data: Data, draw: int) -> Row:
    """Train a copy of the network once."""
    strategy, given = SETTINGS[name]
    head = solved_head(trained, data) if name.startswith(FROM_SOLVED) else None
    backbone = copy.deepcopy(trained)
    for module in backbone.modules():
        if name == SLOW and isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.01
    return tuned(backbone, copy.deepcopy(strategy), data, given, draw, head)


def solved_head(trained: Backbone, data: Data) -> nn.Sequential:
    """The head that `optimizer=lbfgs` solves on the frozen network."""
    backbone = copy.deepcopy(trained).eval()
    parts = [Labelled(run(backbone, part[0]), part[1]) for part in (data.train, data.val)]
    classes = [str(label) for label in range(len(torch.unique(data.train[1])))]
    head = linear(backbone.width, len(classes), standardize=True)
    solve(head, LBFGS(), parts[0], parts[1], task=SingleLabel(classes))
    return head


def report(rows: list[Row]) -> None:
    """Each setting against the solved head and the shipped rates, by pairs of network and task."""
    pairs = sorted({(row["network"], row["task"]) for row in rows})
    for metric in ("test/accuracy", "test/loss", "last/accuracy", "last/loss"):
        found: dict[str, Numbers] = {}
        for row in rows:
            of_pair = found.setdefault(row["setting"], {}).setdefault((row["network"], row["task"]), {})
            of_pair[int(row["draw"])] = float(row[metric])
        heads = " | ".join(" ".join(pair) for pair in pairs)
        print(f"\n{metric}\n\n| setting | {heads} | against {SOLVED} | against {SHIPPED_FULL} |")
        print(f"|---|{'---|' * len(pairs)}---|---|")
        for name in (SOLVED, *SETTINGS):
            if name not in found:
                continue
            own = [list(found[name].get(pair, {}).values()) for pair in pairs]
            cells = [f"{np.mean(values):.3f}" if values else "" for values in own]
            cells += [gain(found[name], found.get(other, {})) for other in (SOLVED, SHIPPED_FULL)]
            print(f"| {name} | {' | '.join(cells)} |")


def gain(ours: Numbers, theirs: Numbers) -> str:
    """The mean difference of shared draws, with its interval over pairs, and how many draws are lower."""
    of_pairs = [
        [ours[pair][draw] - theirs[pair][draw] for draw in ours[pair] if draw in theirs[pair]]
        for pair in ours
        if pair in theirs
    ]
    kept = [values for values in of_pairs if values]
    mean, half = interval([float(np.mean(values)) for values in kept])
    lower = sum(value < 0 for values in kept for value in values)
    return f"{mean:+.3f} ± {half:.3f}; {lower} of {sum(map(len, kept))} lower"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
