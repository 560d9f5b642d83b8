"""Spoken digits: a small network on spectrograms, ImageNet's eyes for ears, a speaker not heard before.

    .venv/bin/python experiments/other-kinds/sounds.py labels.csv outputs/sounds [official|few|speakers ...]
    .venv/bin/python experiments/other-kinds/sounds.py --report

`labels.csv` is that of the Free Spoken Digit Dataset: path, label, group (the speaker) and split (takes 0 to
4 test). A row a run in `sounds.csv`; what is there is not computed again. All parts, or those that are named,
then the table as Markdown and `sounds.png`; `--report` computes nothing.
"""

import csv
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

import graft
from graft.cli.console import run as graft_command
from graft.reporting.figures import COLOURS, LINES, MARKERS
from graft.reporting.groups import spread
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv

FILE = Path(__file__).with_name("sounds.csv")
SEEDS, SHOTS, OWN_TAKES = (0, 1, 2), (3, 10, 30, 100), (1, 3, 10)
COMMON = ("trainer=cpu", "logger=none", "callbacks.last.minutes=60")
SMALL = ("backbone=simple_cnn", "optimizer=adamw", "optimizer.lr=0.002", "optimizer.head_lr=null")
EYES = ("backbone=efficientnet_lite0", "backbone.image_size=96", "channels_last=true")
# So many steps of so many takes, however few takes there are; the small network is trained for longer.
STEPS, SMALL_STEPS, BATCH = 150, 600, 20
# A network of 4.6 M parameters takes minutes a run on a core: fewer seeds where there are many takes.
FEW_SEEDS = {("fine-tuned", 30): 2, ("fine-tuned", 100): 1, **{("scratch", takes): 1 for takes in SHOTS}}
# Each of six speakers is left out in turn: 54 runs and a cross-validation a seed.
SPEAKERS_SEEDS = (0,)
# The network of the other speakers, before it has heard this one.
OTHERS = "others"
WAYS = {
    "small": "small CNN, from scratch",
    "frozen": "ImageNet's lite0, frozen",
    "fine-tuned": "ImageNet's lite0, fine-tuned",
    "scratch": "lite0, from scratch",
}
Row = dict[str, Any]
Case = tuple[str, str, str, int, int]


def main(words: Sequence[str]) -> None:
    """Compute what is missing, then tell."""
    rows: list[Row] = list(read_csv(FILE)) if FILE.exists() else []
    done = {case_of(row) for row in rows}
    if words[0] != "--report":
        labels, runs = Path(words[0]).resolve(), Path(words[1]).resolve()
        for part in words[2:] or ("official", "few", "speakers"):
            for row in PARTS[part](labels, runs, done):
                rows.append(row)
                write_csv(FILE, rows)
    print("\n".join(table(rows)))
    if any(row["part"] == "few" for row in rows):
        figure(rows).savefig(FILE.with_suffix(".png"), dpi=120)


def case_of(row: Row) -> Case:
    """What a row is about: part, way, speaker, takes, seed."""
    return row["part"], row["way"], row["speaker"], int(row["takes"]), int(row["seed"])


def row_of(part: str, way: str, speaker: str, takes: int, seed: int, found: Any) -> Row:
    """A row; `found` is a run, or an accuracy and the seconds that it took."""
    accuracy, seconds = (
        (found.metrics["test/accuracy"], found.metrics["seconds"]) if isinstance(found, RunFolder) else found
    )
    keys = ("part", "way", "speaker", "takes", "seed", "accuracy", "seconds")
    values = (part, way, speaker, takes, seed, f"{float(accuracy):.4f}", f"{float(seconds):.1f}")
    return dict(zip(keys, values, strict=True))


def listed(labels: Path, target: Path, columns: Sequence[str], speaker: str | None = None) -> list[str]:
    """The words for a CSV with some of the columns, of all speakers or one."""
    with labels.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if speaker in (None, row["group"])]
    target.parent.mkdir(parents=True, exist_ok=True)
    write_csv(target, [{column: row[column] for column in columns} for row in rows])
    return ["data=audio_csv", f"data.file={target}", f"data.root={labels.parent}"]


def trained(path: Path, *words: str) -> RunFolder:
    """A run, or the one that is there."""
    if (path / "metrics.json").is_file():
        return RunFolder.open(path)
    # One that was stopped begins again.
    shutil.rmtree(path, ignore_errors=True)
    return graft.train([*COMMON, *words, f"hydra.run.dir={path}"])


def official(labels: Path, runs: Path, done: set[Case]) -> Iterator[Row]:
    """The official split: takes 0 to 4 of each digit and speaker test; a tenth of the others validates."""
    data = listed(labels, runs / "official.csv", ("path", "label", "split"))
    how = [
        "freeze=full",
        "augment=audio",
        "backbone.image_size=64",
        "trainer.max_epochs=30",
        "data.val_fraction=0.1",
    ]
    for seed in SEEDS:
        if ("official", "small", "", 0, seed) not in done:
            found = trained(runs / f"official-{seed}", *data, *SMALL, *how, f"seed={seed}")
            yield row_of("official", "small", "", 0, seed, found)


def few(labels: Path, runs: Path, done: set[Case]) -> Iterator[Row]:
    """3 to 100 takes a digit, of any speakers, on the official test; nothing validates."""
    data = listed(labels, runs / "official.csv", ("path", "label", "split"))
    trains = ["augment=audio", "freeze=full", f"data.batch_size={BATCH}", "data.val_fraction=0"]
    ways = {
        "small": [*SMALL, "backbone.image_size=64", *trains],
        "frozen": [*EYES, "freeze=frozen"],
        "fine-tuned": [*EYES, *trains],
        "scratch": [*EYES, "backbone.weights=null", *trains, "optimizer=adamw", "optimizer.lr=0.002"],
    }
    for way, words in ways.items():
        for takes in SHOTS:
            for seed in SEEDS:
                if ("few", way, "", takes, seed) in done or seed >= FEW_SEEDS.get((way, takes), len(SEEDS)):
                    continue
                drawn = [f"data.shots={takes}", f"data.split_seed={seed}", f"seed={seed}"]
                if way != "frozen":
                    drawn += lasting(takes, SMALL_STEPS if way == "small" else STEPS)
                found = trained(runs / f"few-{way}-{takes}-{seed}", *data, *words, *drawn)
                yield row_of("few", way, "", takes, seed, found)


def lasting(takes: int, steps: int) -> list[str]:
    """The words for so many steps."""
    epochs = -(-steps // -(-10 * takes // BATCH))
    return [f"trainer.max_epochs={epochs}", f"trainer.max_steps={steps}"]


def speakers(labels: Path, runs: Path, done: set[Case]) -> Iterator[Row]:
    """One speaker of six left out; then the others' network learns from a few takes of that one."""
    data = listed(labels, runs / "speakers.csv", ("path", "label", "group"))
    how = [*SMALL, "freeze=full", "augment=audio", "backbone.image_size=64", "trainer.max_epochs=20"]
    for seed in SPEAKERS_SEEDS:
        cross = runs / f"speakers-{seed}"
        if not (cross / "crossval.csv").is_file():
            words = [*COMMON, *data, *how, "folds=6", "data.val_fraction=0", f"seed={seed}"]
            if graft_command(["crossval", *words, f"hydra.run.dir={cross}"]):
                raise SystemExit(f"{cross}: see above")
        for fold in range(1, 7):
            source = RunFolder.open(cross / f"fold-{fold}")
            tested = read_csv(source.predictions)
            # Takes are named 7_jackson_32.wav.
            (speaker,) = {row["path"].split("_")[1] for row in tested}
            official = [row for row in tested if int(Path(row["path"]).stem.split("_")[2]) < 5]
            for part, rows in (("left out", tested), ("own takes", official)):
                if (part, OTHERS, speaker, 0, seed) not in done:
                    share = sum(row["predicted"] == row["label"] for row in rows) / len(rows)
                    yield row_of(part, OTHERS, speaker, 0, seed, (share, source.metrics["seconds"]))
            yield from own_takes(labels, runs, done, source, speaker, seed)


def own_takes(
    labels: Path, runs: Path, done: set[Case], source: RunFolder, speaker: str, seed: int
) -> Iterator[Row]:
    """1 to 10 takes a digit of one speaker, from scratch and from the others' network."""
    data = listed(labels, runs / f"{speaker}.csv", ("path", "label", "split"), speaker)
    begins = [f"backbone.weights={source.path}"]
    trains = [
        *SMALL,
        "backbone.image_size=64",
        "data.val_fraction=0",
        f"data.batch_size={BATCH}",
        "augment=audio",
    ]
    ways = {
        "scratch": [*trains, "freeze=full"],
        "fine-tuned": [*trains, *begins, "freeze=full", "optimizer.lr=0.0005"],
        "frozen": [*trains, *begins, "freeze=frozen"],
    }
    for way, words in ways.items():
        for takes in OWN_TAKES:
            if ("own takes", way, speaker, takes, seed) in done:
                continue
            drawn = [f"data.shots={takes}", f"data.split_seed={seed}", f"seed={seed}"]
            drawn += lasting(takes, STEPS)
            found = trained(runs / f"own-{speaker}-{way}-{takes}-{seed}", *data, *words, *drawn)
            yield row_of("own takes", way, speaker, takes, seed, found)


PARTS = {"official": official, "few": few, "speakers": speakers}


def accuracies(rows: Sequence[Row], part: str, way: str, takes: int) -> list[float]:
    """Of each seed, over the speakers where there are some."""
    own = [row for row in rows if (row["part"], row["way"], int(row["takes"])) == (part, way, takes)]
    of_seed = {seed: [float(row["accuracy"]) for row in own if int(row["seed"]) == seed] for seed in SEEDS}
    return [sum(found) / len(found) for found in of_seed.values() if found]


def told(found: list[float]) -> str:
    """Mean and deviation."""
    if not found:
        return "–"
    of = spread(found)
    return f"{of.mean:.3f}" if of.deviation is None else f"{of.mean:.3f} ± {of.deviation:.3f}"


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of Markdown."""
    yield f"Official split, small CNN: {told(accuracies(rows, 'official', 'small', 0))}"
    yield f"A speaker left out, small CNN: {told(accuracies(rows, 'left out', OTHERS, 0))}"
    yield ""
    for part, ways, columns in (
        ("few", WAYS, SHOTS),
        ("own takes", dict.fromkeys(("scratch", "frozen", "fine-tuned")), OWN_TAKES),
    ):
        yield f"| {part} | {' | '.join(map(str, columns))} |"
        yield f"|---|{'---|' * len(columns)}"
        for way in ways:
            cells = [told(accuracies(rows, part, way, takes)) for takes in columns]
            yield f"| {way} | {' | '.join(cells)} |"
        yield ""


def figure(rows: Sequence[Row]) -> Figure:
    """Accuracy against takes a digit: means over the seeds with a band of one deviation."""
    drawn = Figure(figsize=(7, 5), layout="constrained")
    axes = drawn.subplots()
    for place, (way, named) in enumerate(WAYS.items()):
        found = {takes: accuracies(rows, "few", way, takes) for takes in SHOTS}
        line = {takes: spread(values) for takes, values in found.items() if values}
        if not line:
            continue
        middle = [of.mean for of in line.values()]
        off = [of.deviation or 0.0 for of in line.values()]
        style: Any = {"color": COLOURS[place], "marker": MARKERS[place], "linestyle": LINES[place]}
        axes.plot(list(line), middle, label=named, **style)
        low, high = ([m + sign * o for m, o in zip(middle, off, strict=True)] for sign in (-1, 1))
        axes.fill_between(list(line), low, high, color=COLOURS[place], alpha=0.2)
    axes.set(xscale="log", ylim=(0, 1), xlabel="takes a digit (log scale)", ylabel="test accuracy")
    axes.xaxis.set_major_locator(FixedLocator(SHOTS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    axes.set_title("Spoken digits: does sight help hearing?")
    return drawn


if __name__ == "__main__":
    main(sys.argv[1:])
