"""The study's tasks: each a few labelled images of one kind, as manifests that Graft and fastai both read.

    python tasks.py OUT HYMENOPTERA CIFAR10 DIGIT_DOMAINS

Of every task and number of labels there are draws, and of every draw two manifests:

- `search/`: n training images a class; validation is the task's large development set, drawn from the
  training images that no draw may use, so that settings can be told apart without the test images;
- `final/`: a fifth of the labelled images validates, as for a person who has no more than these; the test
  images are the official ones (at most 2,000).
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from graft.runs.files import write_csv

DRAWS = 10
# Labelled images a class, and the development set's images a class.
LABELS = {
    "digits": (5, 40),
    "usps": (10, 100),
    "mnist": (10, 100),
    "cifar": (10, 100, 400),
    "photos": (20, 60),
}
DEVELOPMENT = {"digits": 40, "usps": 100, "mnist": 100, "cifar": 200, "photos": 40}
MOST_TESTED = 2000
CLASSES = ("dog", "frog", "horse", "ship", "truck")
Pool = dict[str, list[str]]


def main(out: str, hymenoptera: str, cifar10: str, digit_domains: str) -> None:
    """Write images and manifests below `out`."""
    folder = Path(out)
    kept = {task: drawn_images(folder, task, digit_domains) for task in ("digits", "usps", "mnist")}
    kept["photos"] = folders(folder, "photos", Path(hymenoptera), "train", "val", ("ants", "bees"))
    kept["cifar"] = folders(folder, "cifar", Path(cifar10), "train", "test", CLASSES)
    for task, (pool, tested) in kept.items():
        rng = np.random.default_rng([0, *task.encode()])
        pool = {label: list(rng.permutation(names)) for label, names in pool.items()}
        tested = {
            label: list(rng.permutation(names))[: MOST_TESTED // len(tested)]
            for label, names in tested.items()
        }
        for labels in LABELS[task]:
            for draw in range(DRAWS):
                name = f"{task}-{labels}-{draw}.csv"
                write_csv(folder / "search" / name, search_rows(pool, tested, task, labels, draw))
                write_csv(folder / "final" / name, final_rows(pool, tested, task, labels, draw))


def search_rows(pool: Pool, tested: Pool, task: str, labels: int, draw: int) -> list[dict[str, str]]:
    """The draw's training images, the development set, and the test images, which a search leaves alone."""
    held = DEVELOPMENT[task]
    train = {label: some(names[held:], labels, task, draw) for label, names in pool.items()}
    development = {label: names[:held] for label, names in pool.items()}
    return rows(train, "train") + rows(development, "val") + rows(tested, "test")


def final_rows(pool: Pool, tested: Pool, task: str, labels: int, draw: int) -> list[dict[str, str]]:
    """The draw's labelled images, a fifth of which validates, and the test images."""
    held = DEVELOPMENT[task]
    drawn = {label: some(names[held:], labels, task, draw) for label, names in pool.items()}
    validating = max(1, labels // 5)
    val = {label: names[:validating] for label, names in drawn.items()}
    train = {label: names[validating:] for label, names in drawn.items()}
    return rows(train, "train") + rows(val, "val") + rows(tested, "test")


def some(names: list[str], count: int, task: str, draw: int) -> list[str]:
    """The draw's `count` of `names`; fewer of them are the beginning of more."""
    return list(np.random.default_rng([draw, *task.encode()]).permutation(names))[:count]


def rows(images: Pool, split: str) -> list[dict[str, str]]:
    """A manifest's rows."""
    return [
        {"path": name, "label": label, "split": split}
        for label, names in sorted(images.items())
        for name in names
    ]


def folders(
    out: Path, task: str, source: Path, train: str, test: str, classes: tuple[str, ...]
) -> tuple[Pool, Pool]:
    """A linked folder of images, and its names by class."""
    link = out / task
    if not link.is_symlink():
        link.symlink_to(source.resolve())
    pools = [
        {
            label: sorted(f"{task}/{part}/{label}/{file.name}" for file in (source / part / label).iterdir())
            for label in classes
        }
        for part in (train, test)
    ]
    return pools[0], pools[1]


def drawn_images(out: Path, task: str, digit_domains: str) -> tuple[Pool, Pool]:
    """Write the digits as PNG files, those that can be used alone; their names by class."""
    if task == "digits":
        data = load_digits()
        order = np.random.default_rng(0).permutation(len(data.target))
        images, labels = (data.samples * (255 / 16)).round().astype(np.uint8)[order], data.target[order]
        parts = {"train": (images[:1078], labels[:1078]), "test": (images[1078:], labels[1078:])}
    else:
        with np.load(digit_domains) as arrays:
            parts = {
                part: (arrays[f"{task}_{part}_images"], arrays[f"{task}_{part}_labels"])
                for part in ("train", "test")
            }
    found: list[Pool] = []
    for part, (images, labels) in parts.items():
        pool: Pool = {}
        for digit in range(10):
            folder = out / task / part / str(digit)
            folder.mkdir(parents=True, exist_ok=True)
            places = np.flatnonzero(labels == digit)[:500]
            for place in places:
                file = folder / f"{place:05}.png"
                if not file.exists():
                    Image.fromarray(images[place]).save(file)
            pool[str(digit)] = [f"{task}/{part}/{digit}/{place:05}.png" for place in places]
        found.append(pool)
    return found[0], found[1]


if __name__ == "__main__":
    main(*sys.argv[1:])
