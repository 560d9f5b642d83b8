"""Texts and sequences: what a network that learnt one task saves another, by the number of labels.

    .venv/bin/python experiments/other-kinds/texts.py sentences outputs/texts [reviews|motifs|unrelated ...]
    .venv/bin/python experiments/other-kinds/texts.py --report

`sentences` is a folder with `mr.csv` and `cr.csv`: text, label. The sequences are made here. A row a run in
`texts.csv`; what is there is not computed again. All targets, or those that are named, then the table as
Markdown and `texts.png`; `--report` computes nothing.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

import graft
from graft.reporting.figures import COLOURS, GREY, LINES, MARKERS
from graft.reporting.groups import spread
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv

FILE = Path(__file__).with_name("texts.csv")
SEEDS, SHOTS = (0, 1, 2), (10, 30, 100, 300)
# So many steps of so many texts, however few texts there are. Nothing validates: that would be labels too.
STEPS, BATCH = 300, 20
COMMON = ("data=text_csv", "backbone=text_cnn", "trainer=cpu", "logger=none", "callbacks.last.minutes=60")
WORDS = ("backbone.embedding=64", "backbone.channels=50")
LETTERS = (
    *("backbone.tokens=characters", "backbone.embedding=8", "backbone.channels=32"),
    *("backbone.widths=[6,8]", "backbone.min_count=1"),
)
RATE = ("optimizer=adamw", "optimizer.lr=0.002", "optimizer.head_lr=null")
WAYS = {"scratch": "from scratch", "frozen": "frozen", "fine-tuned": "fine-tuned"}
# A motif is two half-sites with up to so many letters between them; a letter of it is another one at times.
HALF, GAP, NOISE, LENGTH = 6, 3, 0.1, 60
Row = dict[str, Any]


class Target(NamedTuple):
    """A task with few labels.

    Attributes:
        name: for people.
        source: the task that its network learnt before.
        network: the words for its size.
        epochs: of the source's training.
        classes: how many there are.
    """

    name: str
    source: str
    network: tuple[str, ...]
    epochs: int
    classes: int


TARGETS = {
    "reviews": Target("customer reviews (CR) from film reviews (MR)", "films", WORDS, 6, 2),
    "motifs": Target("DNA: the source's half-sites in new pairs", "family", LETTERS, 12, 6),
    "unrelated": Target("DNA: half-sites that the source has not", "family", LETTERS, 12, 6),
}


def main(words: Sequence[str]) -> None:
    """Compute what is missing, then tell."""
    rows: list[Row] = list(read_csv(FILE)) if FILE.exists() else []
    done = {(row["target"], row["way"], int(row["labels"]), int(row["seed"])) for row in rows}
    if words[0] != "--report":
        sentences, runs = Path(words[0]).resolve(), Path(words[1]).resolve()
        for seed, target in product(SEEDS, words[2:] or TARGETS):
            for row in computed(target, seed, sentences, runs, done):
                rows.append(row)
                write_csv(FILE, rows)
    print("\n".join(table(rows)))
    figure(rows).savefig(FILE.with_suffix(".png"), dpi=120)


def computed(
    name: str, seed: int, sentences: Path, runs: Path, done: set[tuple[str, str, int, int]]
) -> Iterator[Row]:
    """The source's network, and then the target's of each way and number of labels."""
    target = TARGETS[name]
    files = {"films": sentences / "mr.csv", "reviews": sentences / "cr.csv"}
    for place, task in enumerate(("family", "motifs", "unrelated")):
        files[task] = runs / f"{task}.csv"
        if not files[task].is_file():
            runs.mkdir(parents=True, exist_ok=True)
            write_csv(files[task], sequences(task, 500, place))
    of_source = [f"data.file={files[target.source]}", "data.test_fraction=0.1", "data.test_seed=0"]
    how = [*target.network, *RATE, "freeze=full", "augment=words", f"trainer.max_epochs={target.epochs}"]
    source = trained(runs / f"{target.source}-{seed}", *of_source, *how, f"seed={seed}")
    if (name, "source", 0, seed) not in done:
        yield row_of(name, "source", 0, seed, source)
    for way in WAYS:
        for labels in SHOTS:
            if (name, way, labels, seed) in done:
                continue
            few = [f"data.file={files[name]}", "data.test_fraction=0.3", "data.test_seed=0"]
            few += [f"data.shots={labels}", "data.val_fraction=0", f"data.split_seed={seed}"]
            few += [*target.network, f"seed={seed}", *words_of(way, target, labels, source.path)]
            found = trained(runs / f"{name}-{way}-{labels}-{seed}", *few)
            yield row_of(name, way, labels, seed, found)


def words_of(way: str, target: Target, labels: int, source: Path) -> list[str]:
    """How a network is trained on so many labels a class."""
    weights = [] if way == "scratch" else [f"backbone.weights={source}"]
    if way == "frozen":
        return [*weights, "freeze=frozen"]
    batches = -(-labels * target.classes // BATCH)
    epochs = -(-STEPS // batches)
    return [
        *(*weights, *RATE, "freeze=full", "augment=words", f"data.batch_size={BATCH}"),
        f"trainer.max_epochs={epochs}",
    ]


def trained(path: Path, *words: str) -> RunFolder:
    """A run, or the one that is there."""
    if (path / "metrics.json").is_file():
        return RunFolder.open(path)
    # One that was stopped begins again.
    shutil.rmtree(path, ignore_errors=True)
    return graft.train([*COMMON, *words, f"hydra.run.dir={path}"])


def row_of(target: str, way: str, labels: int, seed: int, found: RunFolder) -> Row:
    """What came out of a run."""
    accuracy, seconds = f"{found.metrics['test/accuracy']:.4f}", f"{found.metrics['seconds']:.1f}"
    keys = ("target", "way", "labels", "seed", "accuracy", "seconds")
    return dict(zip(keys, (target, way, labels, seed, accuracy, seconds), strict=True))


def sequences(task: str, each: int, seed: int) -> list[Row]:
    """Sequences of six classes: in random letters two half-sites, of which each class has a pair.

    The source and `motifs` have the same six half-sites in other pairs; those of `unrelated` are others.
    """
    letters = np.array(list("ACGT"))
    halves = np.random.default_rng(7 if task == "unrelated" else 3).choice(letters, (6, HALF))
    step = 1 if task == "family" else 2
    pairs = [(first, (first + step) % 6) for first in range(6)]
    stream, rows = np.random.default_rng([11, seed]), []
    for index in range(6 * each):
        first, second = pairs[index % 6]
        sequence = stream.choice(letters, LENGTH)
        gap = int(stream.integers(GAP + 1))
        start = int(stream.integers(LENGTH - 2 * HALF - gap + 1))
        for half, place in ((first, start), (second, start + HALF + gap)):
            noisy = np.where(stream.random(HALF) < NOISE, stream.choice(letters, HALF), halves[half])
            sequence[place : place + HALF] = noisy
        rows.append({"text": "".join(sequence), "label": f"{first + 1}-{second + 1}"})
    return rows


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Means and deviations over the seeds, a line a target and way."""
    yield f"| target | way | {' | '.join(map(str, SHOTS))} |"
    yield f"|---|---|{'---|' * len(SHOTS)}"
    for name, target in TARGETS.items():
        for way, called in WAYS.items():
            spreads = [values(rows, name, way, labels) for labels in SHOTS]
            yield f"| {target.name} | {called} | {' | '.join(map(told, spreads))} |"
    for name, target in TARGETS.items():
        if source := values(rows, name, "source", 0):
            yield f"\n{target.source}, the source of {name}, tested: {told(source)}"


def told(of: Any) -> str:
    """Mean and deviation, where there is one."""
    if of is None:
        return "–"
    return f"{of.mean:.3f}" if of.deviation is None else f"{of.mean:.3f} ± {of.deviation:.3f}"


def values(rows: Sequence[Row], target: str, way: str, labels: int) -> Any:
    """The accuracies of a cell over its seeds; None where there is none."""
    key = (target, way, labels)
    own = [row for row in rows if (row["target"], row["way"], int(row["labels"])) == key]
    return spread([float(row["accuracy"]) for row in own]) if own else None


def figure(rows: Sequence[Row]) -> Figure:
    """A panel a target, a line a way: means over the seeds, with a band of one deviation."""
    drawn = Figure(figsize=(11, 4.6), layout="constrained")
    panels = drawn.subplots(1, len(TARGETS), sharey=True)
    for axes, (name, target) in zip(panels, TARGETS.items(), strict=True):
        for place, (way, called) in enumerate(WAYS.items()):
            spreads = {labels: values(rows, name, way, labels) for labels in SHOTS}
            there = [labels for labels, found in spreads.items() if found]
            middle = np.array([spreads[labels].mean for labels in there])
            wide = np.array([spreads[labels].deviation or 0.0 for labels in there])
            style: dict[str, Any] = {"color": COLOURS[place], "marker": MARKERS[place]}
            axes.plot(there, middle, label=called, linestyle=LINES[place], **style)
            axes.fill_between(there, middle - wide, middle + wide, color=COLOURS[place], alpha=0.2)
        axes.axhline(1 / target.classes, color=GREY, linewidth=1, linestyle=":", label="guessing")
        axes.set_title(target.name, fontsize=10)
        axes.set(xscale="log", ylim=(0, 1))
        axes.xaxis.set_major_locator(FixedLocator(SHOTS))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:.0f}")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("test accuracy (share of texts)")
    panels[1].set_xlabel(
        f"labels a class (log scale); means of up to {len(SEEDS)} seeds, bands ± 1 deviation"
    )
    handles, names = panels[0].get_legend_handles_labels()
    drawn.legend(handles, names, loc="outside lower center", ncols=len(handles))
    return drawn


if __name__ == "__main__":
    main(sys.argv[1:])
