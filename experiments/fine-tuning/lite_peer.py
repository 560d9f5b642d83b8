"""fastai's `fine_tune` on the tasks of the EfficientNet-Lites, from the same weights, images and splits.

    python lite_peer.py TASKS OUT.csv [--only photos,cifar] [--draws 0,1,2] [--batch 64]

Needs the environment of `peer.py`, whose learner it is, and manifests of `lite_tasks.py`: Lite0 at 96 px, a
frozen epoch and nine of all, the last epoch's weights, judged by the test images. Batches are of 64 as
fastai ships, which of 80 images are one an epoch (it drops the rest), or of 16. A row a run; what is there
is not run again.
"""

import argparse
from pathlib import Path

import pandas as pd  # type: ignore[import-untyped]
import torch
from fastai.vision.all import set_seed  # type: ignore[import-not-found]
from networks import efficientnet_lite0
from peer import fine_tuned

from graft.runs.files import read_csv, write_csv

# Of the pairs that `peer.py` knows, one with this network.
PAIR, PIXELS, EPOCHS = "lite0/photos-20", 96, 10


def main() -> None:
    """Read the command line, run what is missing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="photos,cifar")
    parser.add_argument("--draws", default="0,1,2")
    parser.add_argument("--batch", type=int, default=64)
    given = parser.parse_args()
    rows = list(read_csv(given.out)) if given.out.is_file() else []
    done = {(row["task"], row["draw"], row["batch"]) for row in rows}
    for draw in given.draws.split(","):
        for task in given.only.split(","):
            if (task, draw, str(given.batch)) not in done:
                what = {"task": task, "draw": draw, "batch": str(given.batch)}
                rows.append({**what, **tuned(given.tasks, task, int(draw), given.batch)})
                print(rows[-1], flush=True)
                write_csv(given.out, rows)


def tuned(tasks: Path, task: str, draw: int, batch: int) -> dict[str, str]:
    """Fine-tune once; what the test images say."""
    rows = pd.read_csv(tasks / f"{task}-{draw}.csv", dtype=str)
    set_seed(draw, reproducible=True)
    backbone = efficientnet_lite0(weights="package", image_size=PIXELS)
    training, val, test = (rows[rows.split == name] for name in ("train", "val", "test"))
    reached = fine_tuned(PAIR, backbone, tasks, training, val, test, EPOCHS, batch)
    digits = {"accuracy": 4, "loss": 4, "seconds": 0}
    return {name: f"{value:.{digits[name]}f}" for name, value in reached.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
