"""Adaptation to a domain without labels: which method, chosen by which score, and what a few labels add.

    .venv/bin/python experiments/adaptation/adaptation.py DIGITS outputs/adaptation [digits|glyphs ...]
    .venv/bin/python experiments/adaptation/adaptation.py --report

`DIGITS` holds `mnist/{train,test}/<digit>/` and `usps/{train,test}/<digit>/`; beside it lies CIFAR-10 as
`cifar10/{train,test}/<class>/`, for the part `corrupted`. A row a run in
`adaptation.csv`, with the target's validation accuracy of the epoch that each score would have chosen; what
is there is not computed again. All parts, or those that are named, then the tables as Markdown; `--report`
computes nothing.
"""

import csv
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

import graft
from graft.adaptation.selection import SELECTORS
from graft.reporting.groups import spread
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv

FILE = Path(__file__).with_name("adaptation.csv")
SEEDS = (0, 1, 2, 3, 4)
FIRST, OTHERS = ("none", "mcc"), ("dann", "cdan", "self_training", "dan", "coral", "afn")
COMMON = (
    "trainer=cpu",
    "logger=none",
    "callbacks.last.minutes=60",
    "adapt.select=infomax",
)
# ADDA's protocol: so many training images of each.
DRAWN = {"mnist": 2000, "usps": 1800}
GLYPHS = "glyphs → digits"
TASKS = {"mnist → usps": ("mnist", "usps"), "usps → mnist": ("usps", "mnist")}
HOW = (
    "backbone=simple_cnn",
    *("optimizer=adamw", "optimizer.lr=0.001", "optimizer.head_lr=null"),
    *("data.batch_size=64", "target.batch_size=64", "trainer.max_epochs=80"),
)
# Settings beside the method: as the images are, cut from them at many sizes, or drawn smaller and larger.
SIZES = (
    "_target_: torchvision.transforms.v2.RandomAffine, degrees: 10, translate: [0.1, 0.1], scale: [0.6, 1.4]"
)
SETTINGS = {
    "plain": (),
    "crops": ("augment=light", "augment.horizontal_flip=0"),
    "sizes": (f"augment.policy={{{SIZES}}}",),
}
# For glyphs, whose epochs are short, two and a half times as many.
LONGER = {"sizes, longer": (*SETTINGS["sizes"], "trainer.max_epochs=100")}
# The network keeps ImageNet's BatchNorm statistics, or learns with its own; those of AdaBN are new.
CORRUPTED = (
    *((method, "plain") for method in ("none", "adabn", "mcc", "self_training")),
    *((method, "statistics") for method in ("none", "adabn")),
)
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
    # One that was stopped begins again.
    shutil.rmtree(path, ignore_errors=True)
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


def digits(data: Path, runs: Path, done: set[Case], methods: Sequence[str] = FIRST) -> Iterator[Row]:
    """MNIST and USPS, both ways: 2,000 and 1,800 training images, all official test images."""
    for seed in SEEDS:
        files = {domain: drawn(data, domain, seed, runs) for domain in DRAWN}
        for task, (source, target) in TASKS.items():
            words = ["data=csv", f"data.file={files[source]}", f"data.root={data}", *HOW, f"seed={seed}"]
            words += ["data@target=csv", f"target.file={files[target]}", f"target.root={data}"]
            yield from each(task, methods, seed, words, runs, done)


def glyphs(data: Path, runs: Path, done: set[Case], methods: Sequence[str] = FIRST) -> Iterator[Row]:
    """Drawn digits to scikit-learn's handwritten ones; and what labels of these would give."""
    words = ["data=glyphs", "data.size=2000", *HOW, "trainer.max_epochs=40"]
    for seed in SEEDS:
        split = [f"seed={seed}", f"data.split_seed={seed}", f"target.split_seed={seed}"]
        domains = [*words, "data@target=digits", *split]
        yield from each(GLYPHS, methods, seed, domains, runs, done, {**SETTINGS, **LONGER})
        if (case := (GLYPHS, "labels", "plain", seed)) not in done:
            # What labels of the target give: it is a source, and tested as such.
            own = ["data=digits", "data@target=digits", *HOW, "trainer.max_epochs=40", *split]
            row = row_of(case, trained(folder(runs, case), own))
            done.add(case)
            yield {**row, "target": row["source"]}


def others(data: Path, runs: Path, done: set[Case]) -> Iterator[Row]:
    """The other methods, on both."""
    yield from digits(data, runs, done, OTHERS)
    yield from glyphs(data, runs, done, OTHERS)


def each(
    task: str,
    methods: Sequence[str],
    seed: int,
    words: Sequence[str],
    runs: Path,
    done: set[Case],
    settings: Mapping[str, Sequence[str]] = SETTINGS,
) -> Iterator[Row]:
    """Some methods, and the settings of those that have more than one."""
    for setting, more in settings.items():
        for method in methods if setting == "plain" else [name for name in methods if name in FIRST]:
            case = (task, method, setting, seed)
            if case not in done:
                yield row_of(case, trained(folder(runs, case), [*words, *more, f"adapt={method}"]))


def folder(runs: Path, case: Case) -> Path:
    """Of a run."""
    return runs / "-".join(map(str, case)).replace(" → ", "-to-").replace(", ", "-").replace(" ", "-")


def everything(data: Path, runs: Path, done: set[Case]) -> Iterator[Row]:
    """MNIST to USPS, all images of both, in as many steps as are usual."""
    words = ["data=image_folder", f"data.root={data / 'mnist'}", *HOW, "trainer.max_epochs=6"]
    words += ["data@target=image_folder", f"target.root={data / 'usps'}"]
    for seed in SEEDS:
        yield from each("mnist → usps, all", ("none", "mcc"), seed, [*words, f"seed={seed}"], runs, done)


def corrupted(data: Path, runs: Path, done: set[Case]) -> Iterator[Row]:
    """CIFAR-10 to CIFAR-10 in noise, blurred and of low contrast: ImageNet's lite0, retrained at 64 px."""
    cifar = data.parent / "cifar10"
    for seed in SEEDS:
        source = spoilt(cifar, runs / f"cifar-as-is-{seed}", seed, lambda image, _: image)
        for name, spoil in SPOILT.items():
            target = spoilt(cifar, runs / f"cifar-{name}-{seed}", seed + 100, spoil)
            words = ["data=image_folder", f"data.root={source}", "data@target=image_folder"]
            words += [f"target.root={target}", "backbone=efficientnet_lite0", "backbone.image_size=64"]
            words += ["freeze=full", "trainer.max_epochs=6", "data.batch_size=32", "target.batch_size=32"]
            words += ["channels_last=true"]
            for method, setting in CORRUPTED:
                case = (f"cifar10 → {name}", method, setting, seed)
                if case not in done:
                    norm = f"freeze.norm={'train' if setting == 'statistics' else 'affine'}"
                    found = trained(folder(runs, case), [*words, norm, f"seed={seed}", f"adapt={method}"])
                    yield row_of(case, found)


def noisy(image: Image.Image, seed: int) -> Image.Image:
    """With Gaussian noise of a deviation of 30 of 255."""
    pixels = np.asarray(image).astype(float)
    noise = np.random.default_rng(seed).normal(0, 30, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).round().astype(np.uint8))


def blurred(image: Image.Image, seed: int) -> Image.Image:
    """By a Gaussian of 1.5 px."""
    return image.filter(ImageFilter.GaussianBlur(1.5))


def faint(image: Image.Image, seed: int) -> Image.Image:
    """With a fifth of its contrast."""
    return ImageEnhance.Contrast(image).enhance(0.2)


SPOILT = {"noise": noisy, "blur": blurred, "low contrast": faint}


def spoilt(cifar: Path, root: Path, seed: int, spoil: Callable[[Image.Image, int], Image.Image]) -> Path:
    """A folder of 100 training and 100 test images a class, drawn by the seed and spoilt."""
    if not root.is_dir():
        part = root.with_suffix(".part")
        for split in ("train", "test"):
            for place, of_class in enumerate(sorted((cifar / split).iterdir())):
                files = sorted(of_class.iterdir())
                for index in np.random.default_rng([seed, place]).permutation(len(files))[:100]:
                    (into := part / split / of_class.name).mkdir(parents=True, exist_ok=True)
                    with Image.open(files[index]) as image:
                        spoil(image.convert("RGB"), int(index)).save(into / f"{files[index].stem}.png")
        part.rename(root)
    return root


PARTS: dict[str, Callable[[Path, Path, set[Case]], Iterator[Row]]] = {
    "digits": digits,
    "glyphs": glyphs,
    "everything": everything,
    "corrupted": corrupted,
    "others": others,
}


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
