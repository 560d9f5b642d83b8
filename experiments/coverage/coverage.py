"""How often does a 95 % interval of Graft hold the truth?

    python experiments/coverage/coverage.py [SETS] [PROCESSES] [FOLDER]

SETS test sets (2,000) are drawn of each of 90 cells: five accuracies, 2, 3 and 10 classes, equally frequent
or 9 : 1, and 30, 100 and 500 images; then trainings are repeated for the intervals of `graft crossval` and
`graft compare`. Writes `results.csv` and `figure.png` to FOLDER (this one), and says which intervals hold the
truth too seldom. What stands in FOLDER's `results.csv` from a run that was cut is not done again.
"""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

from figure import drawn
from repeated import comparisons, folds
from tallies import verdict
from tested import SIZES, covered, worlds
from worlds import World

from graft.runs.files import read_csv, write_csv, write_figure

Row = dict[str, Any]
# Sets of a repeated training take longer.
FOLD_CLASSES = (2, 3)
TRUTHS = {0.68: 0.02, 0.9: 0.02, 0.95: 0.02, 0.99: 0.005}
ABOUT = ("study", "accuracy", "classes", "ratio", "images")


def of_world(world: World, sets: int) -> list[Row]:
    """Test sets of all sizes from one world."""
    return [row for size in SIZES for row in covered(world, size, sets)]


def jobs(sets: int) -> Iterator[tuple[str, Callable[[], list[Row]]]]:
    """Name and what is to be done."""
    for world in worlds():
        yield f"test {world.accuracy} {world.classes} {world.ratio}", partial(of_world, world, sets)
    for accuracy, ahead in TRUTHS.items():
        for size in SIZES:
            for classes in FOLD_CLASSES:
                yield f"crossval {accuracy} {classes} {size}", partial(folds, classes, accuracy, size, sets)
            for by in (0.0, ahead):
                name = f"compare {accuracy} {by:g} {size}"
                yield name, partial(comparisons, accuracy, by, size, sets)


def main(sets: int, processes: int, folder: Path) -> None:
    """Draw, count, write."""
    table = folder / "results.csv"
    rows: list[Row] = list(read_csv(table)) if table.is_file() else []
    done = {row["job"] for row in rows}
    with ProcessPoolExecutor(processes) as pool:
        left = {pool.submit(job): name for name, job in jobs(sets) if name not in done}
        for finished in as_completed(left):
            rows += [{"job": left[finished], **row} for row in finished.result()]
            write_csv(table, [row | {"verdict": verdict(row)} for row in rows])
            print(left[finished], flush=True)
    rows = sorted(read_csv(table), key=lambda row: [row[key] for key in ABOUT])
    write_csv(table, rows)
    write_figure(folder / "figure.png", drawn(rows))
    for row in rows:
        if row["verdict"] == "short":
            print(
                "short:", *(row[key] for key in (*ABOUT, "metric", "given", "covered", "too_high", "too_low"))
            )
    counts = [row["verdict"] for row in rows]
    print({word: counts.count(word) for word in ("good", "short", "rare", "none")})


if __name__ == "__main__":
    given = sys.argv[1:]
    main(
        int(given[0]) if given else 2000,
        int(given[1]) if len(given) > 1 else 1,
        Path(given[2]) if len(given) > 2 else Path(__file__).parent,
    )
