"""The tasks of the EfficientNet-Lites: 80 images to train on, 20 that validate, and held-out images.

    python lite_tasks.py OUT HYMENOPTERA CIFAR10 BLOOD_CELLS

Writes a manifest a task and draw, `OUT/TASK-DRAW.csv`: ants and bees (50 labelled images a class), five
classes of CIFAR-10 (20), whether a blood smear shows a platelet (50), and the five classes with more images
(200, of which 40 validate). The first two are tested on their own test images, of CIFAR-10 100 a class; the
smears on the 159 that are published for validation and test.
"""

import sys
from pathlib import Path

import numpy as np

from graft.runs.files import read_csv, write_csv
from tasks import CLASSES, Pool, folders, rows, some

LABELS = {"photos": 50, "cifar": 20, "smears": 50, "many": 200}
FEW = ("photos", "cifar", "smears")
DRAWS = 5
TESTED = 100


def main(out: str, hymenoptera: str, cifar10: str, blood_cells: str) -> None:
    """Write the manifests, and links to the images, below `out`."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    pools = {
        "photos": folders(folder, "photos", Path(hymenoptera), "train", "val", ("ants", "bees")),
        "cifar": folders(folder, "cifar", Path(cifar10), "train", "test", CLASSES),
        "smears": smears(folder, Path(blood_cells)),
    }
    pools["many"] = pools["cifar"]
    for task, (pool, tested) in pools.items():
        rng = np.random.default_rng([0, *task.encode()])
        if task in ("cifar", "many"):
            tested = {label: list(rng.permutation(names))[:TESTED] for label, names in tested.items()}
        for draw in range(DRAWS):
            drawn = {label: some(names, LABELS[task], task, draw) for label, names in pool.items()}
            held = LABELS[task] // 5
            train = {label: names[held:] for label, names in drawn.items()}
            val = {label: names[:held] for label, names in drawn.items()}
            manifest = rows(train, "train") + rows(val, "val") + rows(tested, "test")
            write_csv(folder / f"{task}-{draw}.csv", manifest)


def smears(out: Path, source: Path) -> tuple[Pool, Pool]:
    """A linked folder of smears, and their names by whether there is a platelet."""
    link = out / "smears"
    if not link.is_symlink():
        link.symlink_to(source.resolve())
    pool: Pool = {"platelets": [], "none": []}
    tested: Pool = {"platelets": [], "none": []}
    for row in read_csv(source / "counts.csv"):
        part = pool if row["split"] == "train" else tested
        part["platelets" if int(row["platelets"]) else "none"].append(f"smears/{row['path']}")
    return pool, tested


if __name__ == "__main__":
    main(*sys.argv[1:])
