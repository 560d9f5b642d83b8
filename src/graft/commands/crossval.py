"""`graft crossval`: one configuration trained anew on each fold, each a run of its own; mean and interval."""

import sys
from pathlib import Path
from typing import Any

from graft.commands import train
from graft.configuration.building import check_trusted
from graft.configuration.metric_names import ASSESSED
from graft.configuration.run_config import RunConfig
from graft.data import ImageData
from graft.data.recognition import check_same_images
from graft.errors import GraftError, reason_of
from graft.evaluation.answers import Answers
from graft.reporting.console import PlainConsole
from graft.reporting.few import few_errors
from graft.reporting.folds import CAVEAT, Fold, page, printed, rows_of
from graft.runs import RunFolder, crossval_folder
from graft.runs.files import read_csv, write_csv, write_json, write_text
from graft.runs.launch import launched
from graft.runs.recorded import key_of
from graft.runs.resuming import find_run
from graft.sources.opening import open_data, open_recorded, split_data
from graft.tasks import SingleLabel, Task
from graft.tasks.pooling import pooled

Config = dict[str, Any]
OWN = ("folds", "repeats")


def run(config: Config, path: Path, overrides: list[str]) -> list[Fold]:
    """Train on each of `config["folds"]` folds, `config["repeats"]` times, and write what they come to.

    A repeat cuts the folds by the next `data.split_seed`; the run's own seed is that of `config` in every
    fold. What chooses, stops and calibrates is drawn from a fold's training images.

    Args:
        config: resolved and checked; with a folder in `resume` it is the one recorded there, and what has
            finished there is read back, what was stopped goes on.
        path: becomes the folder, unless one goes on.
        overrides: the words that led to `config`, for the record.

    Raises:
        GraftError: the folds cannot be cut, the first cannot even begin, or a launcher has started several
            processes; the data is no longer what it was when the folder was begun.
        RuntimeError: a fold failed; the others are written.
    """
    launch = launched()
    if launch:
        raise GraftError(f"graft crossval is for one process, but {launch.by} has started {launch.size}")
    whole = RunFolder(config["resume"] or path)
    if config["resume"]:
        check_trusted(config, config["trust"], str(whole.config))
    repeats, folds = config["repeats"], config["folds"]
    own = {key: value for key, value in config.items() if key not in OWN}
    words = [word for word in overrides if key_of(word) not in OWN]
    first = own["data"].get("split_seed", 0)
    data = (open_recorded if config["resume"] else open_data)(own["data"])
    # Cut before anything is trained, so that what cannot be cut is told at once.
    cuts = [
        (repeat, fold, {**own["data"], "folds": folds, "fold": fold, "split_seed": first + repeat - 1})
        for repeat in range(1, repeats + 1)
        for fold in range(1, folds + 1)
    ]
    splits = [split_data(node, data) for _, _, node in cuts]
    runs = [
        RunFolder(whole.path / (f"fold-{fold}" if repeats == 1 else f"repeat-{repeat}-fold-{fold}"))
        for repeat, fold, _ in cuts
    ]
    for folder, split in zip(runs, splits, strict=True):
        if folder.config.is_file():
            check_same_images(find_run(str(folder.path)), data, split)
    kind = "stratified" if data.groups is None else "stratified, groups kept together"
    cut = f"{splits[0].rule.partition(': the ')[0]} ({kind}, data.split_seed={first})"
    print(f"{cut}; out of the other folds of each comes what validates")
    done: list[Fold] = []
    kept: dict[int, list[RunFolder]] = {repeat: [] for repeat in range(1, repeats + 1)}
    with crossval_folder.begun(whole, config, overrides):
        for (repeat, fold, node), split, folder in zip(cuts, splits, runs, strict=True):
            print(f"\n{folder.path.name}: {fold} of {folds}", flush=True)
            given = [f"data.{key}={node[key]}" for key in ("folds", "fold", "split_seed")]
            sizes = len(split["train"]), len(split["val"]), len(split["test"])
            again = crossval_folder.again(folder)
            try:
                resumed = str(folder.path) if again else None
                found = train.run(
                    RunConfig.of({**own, "data": node, "resume": resumed}),
                    folder.path,
                    crossval_folder.free(words) if again else [*words, *given],
                )
            except Exception as error:
                # Where the first made not even a folder, the words are wrong, for every fold.
                if not done and not folder.status_file.is_file() and isinstance(error, GraftError):
                    raise
                reason = reason_of(error)
                print(
                    f"graft: {folder.path.name} failed ({folder.log}): {reason}", file=sys.stderr, flush=True
                )
                done.append(Fold(repeat, fold, *sizes, {}, reason))
            else:
                kept[repeat].append(found)
                done.append(Fold(repeat, fold, *sizes, found.metrics))
        failed = [fold for fold in done if fold.reason]
        if len(failed) < len(done):
            write(whole.path, config, cut, done, kept, data)
    for one in failed:
        print(f"failed: {one.name}: {one.reason}")
    if failed:
        crossval_folder.say_how_to_go_on(whole)
        stop = RuntimeError(f"{len(failed)} of {len(done)} folds failed")
        stop.reported = True  # type: ignore[attr-defined]
        raise stop
    return done


def write(
    path: Path, config: Config, cut: str, done: list[Fold], kept: dict[int, list[RunFolder]], data: ImageData
) -> None:
    """Write the table, the page, the out-of-fold predictions and their metrics and figures; print the table.

    Figures and the table of the classes are those of the first repeat that has a fold.
    """
    place = {name: index for index, name in enumerate(data.images.names)}
    task = SingleLabel(data.class_names)
    answers = {repeat: pooled(task, folders, data) for repeat, folders in kept.items() if folders}
    first, *others = answers.values()
    folder = RunFolder(path)
    metrics = task.write(folder, first, lambda row: data.images[place[first.names[row]]])
    write_json(folder.metrics_file, metrics)
    assessed = [task.assess(other)[0] for other in others]
    together = [metrics, *({f"test/{key}": value for key, value in row.items()} for row in assessed)]
    said = [_rows(task, repeat, kept[repeat], answers[repeat]) for repeat in answers]
    write_csv(folder.predictions, [row for rows in said for row in rows])
    rows = rows_of(done, together, [*ASSESSED, "loss"])
    write_csv(path / "crossval.csv", rows)
    figures = [
        figure.relative_to(path.absolute()).as_posix()
        for figure in (
            folder.confusion_figure,
            folder.precision_figure,
            folder.reliability_figure,
            folder.mistakes_figure,
        )
        if figure.is_file()
    ]
    few = few_errors(metrics)
    write_text(path / "crossval.md", page(config["name"], cut, rows, done, figures, few))
    print()
    PlainConsole().print(printed(rows))
    if few:
        print(f"Pooled: {few}.")
    print(f"{CAVEAT} The first interval allows for it by the corrected t of Nadeau and Bengio.")
    print(path / "crossval.md")


def _rows(task: Task, repeat: int, folders: list[RunFolder], answers: Answers) -> list[dict[str, Any]]:
    """The out-of-fold predictions of one repeat, each with the fold that tested it."""
    fold_of = {
        row["path"]: folder.read_config()["data"]["fold"]
        for folder in folders
        for row in read_csv(folder.predictions)
    }
    return [{**row, "repeat": repeat, "fold": fold_of[row["path"]]} for row in task.rows(answers)]
