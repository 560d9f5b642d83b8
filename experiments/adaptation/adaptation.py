"""Adaptation to a domain without labels: which method, chosen by which score, and what a few labels add.

    .venv/bin/python experiments/adaptation/adaptation.py DIGITS outputs/adaptation [digits|glyphs ...]
    .venv/bin/python experiments/adaptation/adaptation.py --report

`DIGITS` holds `mnist/{train,test}/<digit>/` and `usps/{train,test}/<digit>/`. A row a run in
`adaptation.csv`, with the target's validation accuracy of the epoch that each score would have chosen; what
is there is not computed again. All parts, or those that are named, then the tables as Markdown; `--report`
computes nothing.
"""

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import graft
from graft.adaptation.selection import SELECTORS
from graft.reporting.groups import spread
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv

FILE = Path(__file__).with_name("adaptation.csv")
SEEDS = (0, 1, 2)
# In the order in which they are computed, in all tasks and with all seeds.
METHODS = (("none", "mcc"), ("cdan", "dann", "self_training"), ("dan", "coral", "afn"))
COMMON = (
    "trainer=cpu",
    "logger=none",
    "callbacks.last.minutes=60",
    "backbone=simple_cnn",
    "adapt.select=infomax",
)
# ADDA's protocol: so many training images of each.
DRAWN = {"mnist": 2000, "usps": 1800}
TASKS = {"mnist → usps": ("mnist", "usps"), "usps → mnist": ("usps", "mnist")}
HOW = (
    *("optimizer=adamw", "optimizer.lr=0.001", "optimizer.head_lr=null"),
    *("data.batch_size=64", "target.batch_size=64", "trainer.max_epochs=80"),
)
# Settings beside the method: as the images are, or cut from them at many sizes.
SETTINGS = {"plain": (), "crops": ("augment=light", "augment.horizontal_flip=0")}
CROPPED = ("none", "mcc")
Row = dict[str, Any]
Case = tuple[str, str, str, int]


def main(words: Sequence[str]) -> None:
    """Compute what is missing, then tell."""
    rows: list[Row] = list(read_csv(FILE)) if FILE.exists() else []
    if words[0] != "--report":
        data, runs = Path(words[0]).resolve(), Path(words[1]).resolve()
        done = {case_of(row) for row in rows}
        for part in words[2:] or PARTS:
            for row in PARTS[part](data, runs, done):
                rows.append(row)
                write_csv(FILE, rows)
    print("\n".join(tables(rows)))


def case_of(row: Row) -> Case:
    """What a row is about: task, method, setting, seed."""
    return row["task"], row["method"], row["setting"], int(row["seed"])


def row_of(case: Case, run: RunFolder) -> Row:
    """What a run says, and what each score would have chosen."""
    task, method, setting, seed = case
    metrics, epochs = run.metrics, read_csv(run.epochs)
    row: Row = {"task": task, "method": method, "setting": setting, "seed": seed}
    row |= {"source": metrics["test/accuracy"], "target": metrics["target/accuracy"]}
    row |= {"epoch": metrics["epoch"], "best": metrics["oracle/best_accuracy"]}
    for name in SELECTORS:
        chosen = max(epochs, key=lambda epoch: float(epoch[f"scores/{name}"]))
        row |= {f"{name} score": chosen[f"scores/{name}"], f"{name} chooses": chosen["oracle/accuracy"]}
    row["seconds"] = metrics["seconds"]
    return {key: f"{value:.4f}" if isinstance(value, float) else value for key, value in row.items()}


def trained(path: Path, words: Iterable[str]) -> RunFolder:
    """A run, or the one that is there."""
    if (path / "metrics.json").is_file():
        return RunFolder.open(path)
    return graft.train([*COMMON, *words, f"hydra.run.dir={path}"])


def drawn(data: Path, domain: str, seed: int, runs: Path) -> Path:
    """A CSV of as many training images as ADDA has, drawn by the seed, and of all test images."""
    of = {split: sorted((data / domain / split).rglob("*.png")) for split in ("train", "test")}
    some = np.random.default_rng(seed).permutation(len(of["train"]))[: DRAWN[domain]]
    file = runs / f"{domain}-{seed}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["path", "label", "split"])
        for split, paths in (("train", [of["train"][i] for i in some]), ("test", of["test"])):
            writer.writerows([path.relative_to(data), path.parent.name, split] for path in paths)
    return file


def digits(data: Path, runs: Path, done: set[Case]) -> Iterator[Row]:
    """MNIST and USPS, both ways: 2,000 and 1,800 training images, all official test images."""
    for methods, seed in product(METHODS, SEEDS):
        files = {domain: drawn(data, domain, seed, runs) for domain in DRAWN}
        for task, (source, target) in TASKS.items():
            words = ["data=csv", f"data.file={files[source]}", f"data.root={data}", *HOW, f"seed={seed}"]
            words += ["data@target=csv", f"target.file={files[target]}", f"target.root={data}"]
            yield from each(task, methods, seed, words, runs, done)


def glyphs(data: Path, runs: Path, done: set[Case]) -> Iterator[Row]:
    """Drawn digits to scikit-learn's handwritten ones; and what labels of these would give."""
    words = ["data=glyphs", "data.size=2000", *HOW, "trainer.max_epochs=40"]
    for seed in SEEDS:
        split = [f"seed={seed}", f"data.split_seed={seed}", f"target.split_seed={seed}"]
        beside = [*words, "data@target=digits", *split]
        yield from each("glyphs → digits", sum(METHODS, ()), seed, beside, runs, done)
        case = ("glyphs → digits", "labels", "plain", seed)
        if case not in done:
            # What labels of the target give: it is a source, and tested as such.
            own = ["data=digits", "data@target=digits", *HOW, "trainer.max_epochs=40", *split]
            row = row_of(case, trained(folder(runs, case), own))
            yield {**row, "target": row["source"]}


def each(
    task: str, methods: Sequence[str], seed: int, words: Sequence[str], runs: Path, done: set[Case]
) -> Iterator[Row]:
    """Some methods, and the settings of those that have more than one."""
    for setting, more in SETTINGS.items():
        for method in methods if setting == "plain" else [name for name in methods if name in CROPPED]:
            case = (task, method, setting, seed)
            if case not in done:
                yield row_of(case, trained(folder(runs, case), [*words, *more, f"adapt={method}"]))


def folder(runs: Path, case: Case) -> Path:
    """Of a run."""
    return runs / "-".join(map(str, case)).replace(" → ", "-to-")


PARTS = {"digits": digits, "glyphs": glyphs}


def told(found: Sequence[float]) -> str:
    """Mean and deviation, in %."""
    if not found:
        return "–"
    of = spread([100 * value for value in found])
    return f"{of.mean:.1f}" if of.deviation is None else f"{of.mean:.1f} ± {of.deviation:.1f}"


def tables(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of Markdown."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    settings = list(dict.fromkeys((row["method"], row["setting"]) for row in rows))
    yield f"| target's test, % | {' | '.join(tasks)} |"
    yield f"|---|{'---|' * len(tasks)}"
    for method, setting in settings:
        cells = [told([float(row["target"]) for row in of(rows, task, method, setting)]) for task in tasks]
        yield f"| {method}{'' if setting == 'plain' else f', {setting}'} | {' | '.join(cells)} |"
    cells = [told([float(row["target"]) for row in chosen(rows, task, "infomax")]) for task in tasks]
    yield f"| **chosen by infomax** | {' | '.join(cells)} |"
    yield ""
    yield f"| target's validation, %: choice of method, setting, epoch | {' | '.join(tasks)} | behind |"
    yield f"|---|{'---|' * len(tasks)}---|"
    best = {task: list(bests(rows, task)) for task in tasks}
    for name in SELECTORS:
        found = {task: [float(row[f"{name} chooses"]) for row in chosen(rows, task, name)] for task in tasks}
        behind = [sum(best[task]) / len(best[task]) - sum(found[task]) / len(found[task]) for task in tasks]
        cells = [told(found[task]) for task in tasks]
        yield f"| {name} | {' | '.join(cells)} | {100 * sum(behind) / len(behind):.1f} |"
    yield f"| the oracle, with labels | {' | '.join(told(best[task]) for task in tasks)} | 0 |"


def of(rows: Sequence[Row], task: str, method: str, setting: str) -> list[Row]:
    """The rows of a method in a task."""
    return [row for row in rows if (row["task"], row["method"], row["setting"]) == (task, method, setting)]


def candidates(rows: Sequence[Row], task: str) -> Iterator[list[Row]]:
    """For each seed what there is to choose among."""
    for seed in SEEDS:
        if some := [
            row
            for row in rows
            if row["task"] == task and int(row["seed"]) == seed and row["method"] != "labels"
        ]:
            yield some


def chosen(rows: Sequence[Row], task: str, name: str) -> list[Row]:
    """For each seed the run that a score would choose."""
    return [max(some, key=lambda row: float(row[f"{name} score"])) for some in candidates(rows, task)]


def bests(rows: Sequence[Row], task: str) -> Iterator[float]:
    """For each seed the best validation accuracy of all runs and epochs."""
    for some in candidates(rows, task):
        yield max(float(row["best"]) for row in some)


if __name__ == "__main__":
    main(sys.argv[1:])
