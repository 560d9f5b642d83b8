"""The imbalanced lists of images: five classes of CIFAR-10 with 200, 80, 32, 13 and 5 labels.

    .venv/bin/python experiments/recipes/imbalance.py RUNS CIFAR10

Writes `RUNS/lists/<draw>.csv`: a draw chooses the images and which class is how rare. 100 test images a
class, the same in all.
"""

import csv
import sys
from pathlib import Path

import numpy as np

CLASSES = ("dog", "frog", "horse", "ship", "truck")
COUNTS, TESTED, DRAWS = (200, 80, 32, 13, 5), 100, 5


def main(runs: str, cifar10: str) -> None:
    """Draw and write."""
    root, folder = Path(cifar10).absolute(), Path(runs, "lists")
    folder.mkdir(parents=True, exist_ok=True)
    images = {
        (part, name): sorted((root / part / name).iterdir()) for part in ("train", "test") for name in CLASSES
    }
    for draw in range(DRAWS):
        random = np.random.default_rng(draw)
        rows = [("path", "label", "split")]
        for name, count in zip(random.permutation(CLASSES), COUNTS, strict=True):
            pool = images["train", str(name)]
            chosen = random.permutation(len(pool))[:count]
            rows += [(str(pool[i]), str(name), "train") for i in chosen]
        rows += [(str(path), name, "test") for name in CLASSES for path in images["test", name][:TESTED]]
        with (folder / f"{draw}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)


if __name__ == "__main__":
    main(*sys.argv[1:])
