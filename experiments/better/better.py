"""What finished runs give without another training: views of an image, soups, folds as one model.

    .venv/bin/python experiments/better/better.py PHOTOS CIFAR10 outputs/better [photos|digits ...]
    .venv/bin/python experiments/better/better.py --report

`PHOTOS` holds `{train,val}/{ants,bees}/`, `CIFAR10` holds `{train,test}/<class>/`. A row a task, repetition
and way in `better.csv`; what is there is not computed again. Then the table as Markdown and `better.png`.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

import graft
from graft.cli.console import run as graft_command
from graft.evaluation.intervals import paired_ends
from graft.reporting.figures import COLOURS, GREY
from graft.reporting.groups import spread
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv

FILE = Path(__file__).with_name("better.csv")
# Another split, so that nothing rests on one set of training images.
REPETITIONS = (0, 1, 2)
COMMON = ("trainer=cpu", "logger=none", "callbacks.last.minutes=60")
# What a soup is made of: seeds and rates, from one start.
SEEDS, FACTORS, FOLDS = (0, 1), (0.5, 1.0), 4
WAYS = {
    "flip": "with the mirrored image",
    "five": "with four corners",
    "soup": "soup of four runs",
    "folds": f"{FOLDS} folds as one",
}
Row = dict[str, Any]


class Task(NamedTuple):
    """A task: its name for people, its words, the rate of the backbone, and its number of test images."""

    name: str
    words: tuple[str, ...]
    rate: float


def tasks(photos: Path, cifar: Path, runs: Path) -> dict[str, Task]:
    """The three, by a short name."""
    lite = (
        "backbone=efficientnet_lite0",
        "freeze=full",
        "trainer.max_epochs=6",
        "data.batch_size=32",
        "channels_last=true",
    )
    small = ("backbone.image_size=96", "augment=light")
    return {
        "photos": Task("ants and bees", ("data=image_folder", f"data.root={photos}", *lite, *small), 0.0005),
        "cifar": Task(
            "CIFAR-10, 100 a class",
            (
                *("data=image_folder", f"data.root={some_of(cifar, runs / 'cifar')}", *lite),
                *("backbone.image_size=64", "augment=light"),
            ),
            0.0005,
        ),
        "digits": Task(
            "handwritten digits, 30 a class, from glyphs",
            (
                *("data=digits", "data.test_seed=0", "data.shots=30", f"backbone.weights={runs / 'glyphs'}"),
                *("freeze=full", "trainer.max_epochs=20"),
            ),
            0.001,
        ),
    }


def main(words: Sequence[str]) -> None:
    """Compute what is missing, then tell."""
    rows: list[Row] = list(read_csv(FILE)) if FILE.exists() else []
    if words[0] != "--report":
        photos, cifar, runs = (Path(word).resolve() for word in words[:3])
        done = {(row["task"], int(row["repetition"]), row["way"]) for row in rows}
        done_with(["data=glyphs", "data.size=2000", "freeze=full", "optimizer=adamw"], runs / "glyphs")
        for repetition, (name, task) in product(REPETITIONS, tasks(photos, cifar, runs).items()):
            wanted = name in (words[3:] or (name,))
            if wanted and not all((name, repetition, way) in done for way in WAYS):
                found = list(measured(name, task, repetition, runs / f"{name}-{repetition}"))
                rows += [row for row in found if (name, repetition, row["way"]) not in done]
                write_csv(FILE, rows)
    print("\n".join(table(rows)))
    figure(rows).savefig(FILE.with_suffix(".png"), dpi=120)


def done_with(words: Sequence[str], path: Path) -> RunFolder:
    """A run, or the one that is there."""
    if (path / "metrics.json").is_file():
        return RunFolder.open(path)
    # One that was stopped begins again.
    shutil.rmtree(path, ignore_errors=True)
    return graft.train([*COMMON, *words, f"hydra.run.dir={path}"])


def command(words: Sequence[str], path: Path, leaves: str = "metrics.json") -> Path:
    """Another command's folder."""
    if not (path / leaves).is_file() and graft_command([*words, f"hydra.run.dir={path}"]):
        raise SystemExit(f"{path}: see above")
    return path


def measured(name: str, task: Task, repetition: int, path: Path) -> Iterator[Row]:
    """A row a way: how much it gains over the run that is best on validation, and is its yardstick."""
    words = [*task.words, f"data.split_seed={repetition}"]
    runs = []
    for seed, factor in product(SEEDS, FACTORS):
        own = [*words, f"seed={seed}", f"optimizer.lr={factor * task.rate}"]
        runs.append(done_with(own, path / "runs" / f"{seed}-{factor}"))
    best = max(runs, key=lambda run: run.metrics["val/accuracy"])
    plain = answers(best.path)
    for way in ("flip", "five"):
        said = ["evaluate", f"run={best.path}", f"tta={way}", "accelerator=cpu"]
        if (folder := tried(said, path / way)) is not None:
            yield row_of(name, repetition, way, plain, answers(folder))
    soup = command(["soup", f"runs={path / 'runs'}", "accelerator=cpu"], path / "soup")
    yield row_of(name, repetition, "soup", plain, answers(soup))
    rate = best.read_config()["optimizer"]["lr"]
    crossed = [word for word in [*words, "data.test_seed=0"] if not word.startswith("data.shots")]
    crossed += [*COMMON, f"folds={FOLDS}", f"optimizer.lr={rate}"]
    if name == "digits":
        # As many labels as the runs have, in all folds together.
        crossed.append("data.fraction=0.25")
    folder = command(["crossval", *crossed], path / "folds", "crossval.csv")
    own = [word for word in task.words if word.startswith(("data=", "data.root="))]
    whole = command(["evaluate", f"run={folder}", *own, "accelerator=cpu"], path / "folds-tested")
    yield row_of(name, repetition, "folds", plain, answers(whole))


def tried(words: Sequence[str], path: Path) -> Path | None:
    """As `command`; None where it cannot be, such as corners of what has none."""
    if (path / "metrics.json").is_file() or not graft_command([*words, f"hydra.run.dir={path}"]):
        return path
    return None


def answers(path: Path) -> dict[str, bool]:
    """Path to whether the answer was right."""
    return {row["path"]: row["predicted"] == row["label"] for row in read_csv(path / "predictions.csv")}


def row_of(task: str, repetition: int, way: str, plain: dict[str, bool], other: dict[str, bool]) -> Row:
    """A row, over the images that both have tested."""
    both = sorted(plain.keys() & other.keys())
    before, after = (np.array([said[image] for image in both]) for said in (plain, other))
    low, high = paired_ends(after, before)
    gain = float(after.mean() - before.mean())
    told = {"images": len(both), "plain": float(before.mean()), "gain": gain, "low": low, "high": high}
    row = {"task": task, "repetition": repetition, "way": way, **told}
    return {key: f"{number:.4f}" if isinstance(number, float) else number for key, number in row.items()}


def some_of(cifar: Path, root: Path) -> Path:
    """A folder with links to 100 training and 100 test images of each class."""
    for split, of_class in product(("train", "test"), sorted((cifar / "train").iterdir())):
        files = sorted((cifar / split / of_class.name).iterdir())
        (into := root / split / of_class.name).mkdir(parents=True, exist_ok=True)
        for index in np.random.default_rng(0).permutation(len(files))[:100]:
            link = into / files[index].name
            if not link.exists():
                link.symlink_to(files[index])
    return root


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of Markdown: points of accuracy, each repetition with its paired interval."""
    yield f"| task | way | mean gain, points | {' | '.join(f'split {n}' for n in REPETITIONS)} |"
    yield f"|---|---|---|{'---|' * len(REPETITIONS)}"
    for task, way in product(dict.fromkeys(row["task"] for row in rows), WAYS):
        own = [row for row in rows if (row["task"], row["way"]) == (task, way)]
        if own:
            of = spread([100 * float(row["gain"]) for row in own])
            cells = [f"{points(row, 'gain')} ({points(row, 'low')} to {points(row, 'high')})" for row in own]
            cells += ["–"] * (len(REPETITIONS) - len(own))
            yield f"| {task} | {WAYS[way]} | {of.mean:+.1f} | {' | '.join(cells)} |"


def points(row: Row, key: str) -> str:
    """A number of a row in points."""
    return f"{100 * float(row[key]):+.1f}"


def figure(rows: Sequence[Row]) -> Figure:
    """Gains with their paired intervals, a panel a task."""
    names = list(dict.fromkeys(row["task"] for row in rows))
    drawn = Figure(figsize=(4 * len(names), 3.6), layout="constrained")
    for axes, task in zip(
        drawn.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0], names, strict=True
    ):
        axes.axvline(0, color=GREY, linewidth=1)
        for place, way in enumerate(WAYS):
            own = [row for row in rows if (row["task"], row["way"]) == (task, way)]
            for number, row in enumerate(own):
                height = -place - 0.2 * (number - (len(own) - 1) / 2)
                low, middle, high = (100 * float(row[key]) for key in ("low", "gain", "high"))
                axes.plot([low, high], [height, height], color=COLOURS[place], linewidth=1.5)
                axes.plot([middle], [height], "o", color=COLOURS[place], markersize=4)
        axes.set_yticks([-place for place in range(len(WAYS))], list(WAYS.values()))
        axes.set_title(task)
        axes.grid(axis="x", alpha=0.3)
        axes.set_xlabel("points of test accuracy gained")
        axes.label_outer()
    return drawn


if __name__ == "__main__":
    main(sys.argv[1:])
