"""The study's labelled images: a CSV for each target, number of labels and draw.

    .venv/bin/python experiments/overfitting/overfitting_draws.py RUNS CIFAR10 PHOTOS

Writes `RUNS/<target>/<labels>-<draw>.csv`. Each lists so many training images a class, which the draw
chooses, and the test images, which are the same in all of a target's files. What fewer labels have, more
labels of the draw have too.
"""

import csv
import sys
from pathlib import Path

import numpy as np

from graft.data import Samples
from graft.sources import digits, image_folder

LABELS, DRAWS = (5, 20, 100), 10
# Test images that are kept of each target; a run's share of the time goes into them.
TESTED = 500
Listed = list[tuple[str, str]]


def main(runs: str, cifar10: str, photos: str) -> None:
    """Draw and write."""
    write(Path(runs, "digits"), *handwritten(Path(runs, "digits", "images").absolute()))
    write(Path(runs, "cifar10"), *folders(cifar10, ["dog", "frog", "horse", "ship", "truck"]))
    write(Path(runs, "photos"), *folders(photos, ["ants", "bees"]))


def handwritten(folder: Path) -> tuple[Listed, Listed]:
    """scikit-learn's digits as files below `folder`: those to learn from and those to be tested on."""
    folder.mkdir(parents=True, exist_ok=True)
    data = digits()
    images = data.parts["all"]
    listed = []
    for index in range(len(images)):
        path = folder / f"{index:04}.png"
        images[index].save(path)
        listed.append((str(path), data.class_names[images.labels[index]]))
    order = np.random.default_rng(0).permutation(len(listed))
    return [listed[i] for i in order[TESTED:]], [listed[i] for i in order[:TESTED]]


def folders(root: str, classes: list[str]) -> tuple[Listed, Listed]:
    """Images of some classes in a folder of images: those of `train`, and some of the other part."""
    data, where = image_folder(root), Path(root).absolute()
    other = data.parts.get("test") or data.parts["val"]
    learnt, tested = (
        of_classes(where, part, data.class_names, classes) for part in (data.parts["train"], other)
    )
    kept = sorted(np.random.default_rng(0).permutation(len(tested))[:TESTED])
    return learnt, [tested[i] for i in kept]


def of_classes(root: Path, images: Samples, names: list[str], classes: list[str]) -> Listed:
    """Path and class of each image that is of one of `classes`."""
    labels = [names[label] for label in images.labels]
    return [
        (str(root / path), label)
        for path, label in zip(images.names, labels, strict=True)
        if label in classes
    ]


def write(folder: Path, pool: Listed, tested: Listed) -> None:
    """A file for each number of labels and draw."""
    folder.mkdir(parents=True, exist_ok=True)
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(len(pool))
        for labels in LABELS:
            drawn = [
                pool[i]
                for c in sorted({c for _, c in pool})
                for i in [i for i in order if pool[i][1] == c][:labels]
            ]
            rows = [(*image, "train") for image in drawn] + [(*image, "test") for image in tested]
            with (folder / f"{labels}-{draw}.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([("path", "label", "split"), *rows])


if __name__ == "__main__":
    main(*sys.argv[1:])
