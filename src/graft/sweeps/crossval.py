"""One configuration trained anew on each fold, each a run of its own, and what the folds come to together."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from graft.configuration.keys import key_of
from graft.configuration.metric_names import ASSESSED
from graft.configuration.run_config import Node, RunConfig
from graft.configuration.schema import Config
from graft.data import SampleData, Splits
from graft.errors import GraftError, reason_of
from graft.evaluation.answers import Answers
from graft.evaluation.assessment import assess
from graft.reporting.few import few_errors
from graft.reporting.folds import Fold, page, rows_of
from graft.runs import RunFolder, crossval_folder
from graft.runs.files import read_csv, write_csv, write_json, write_text
from graft.runs.resuming import find_run
from graft.sources.opening import split_data
from graft.sources.recognition import check_same_images
from graft.tasks import SingleLabel, Task

# What a fold's run has no key for.
OWN = ("folds", "repeats")
Train = Callable[[RunConfig, Path, list[str]], RunFolder]


class Cut(NamedTuple):
    """One fold before it is trained on.

    Attributes:
        repeat: from 1.
        fold: from 1.
        node: the `data` node of its run.
        splits: what each image is for.
        folder: becomes its run's.
    """

    repeat: int
    fold: int
    node: Node
    splits: Splits
    folder: RunFolder

    def result(self, metrics: Mapping[str, Any], reason: str = "") -> Fold:
        """What came out: the metrics, or the reason why there are none."""
        trained, validated, tested = (len(self.splits[split]) for split in ("train", "val", "test"))
        return Fold(self.repeat, self.fold, trained, validated, tested, metrics, reason)


def cuts_of(config: Config, folder: Path, data: SampleData) -> list[Cut]:
    """All folds of all repeats, so that what cannot be cut is refused before anything is trained.

    A repeat cuts by the next `data.split_seed`. Each fold has a run's folder in the cross-validation's.

    Raises:
        GraftError: the folds cannot be cut, or a fold's run was begun on other images.
    """
    repeats, folds = config["repeats"], config["folds"]
    seed = config["data"].get("split_seed", 0)
    cuts = []
    for repeat in range(1, repeats + 1):
        for fold in range(1, folds + 1):
            node = {**config["data"], "folds": folds, "fold": fold, "split_seed": seed + repeat - 1}
            name = f"fold-{fold}" if repeats == 1 else f"repeat-{repeat}-fold-{fold}"
            cuts.append(Cut(repeat, fold, node, split_data(node, data), RunFolder(folder / name)))
    for cut in cuts:
        if cut.folder.config.is_file():
            check_same_images(find_run(str(cut.folder.path)), data, cut.splits)
    return cuts


def train_folds(cuts: Sequence[Cut], config: Config, words: Sequence[str], train: Train) -> list[Fold]:
    """Train on each fold; one that fails stops no other, unless it is the first and never began.

    What has finished is read back, what was stopped goes on. The words are for the runs' records.

    Raises:
        GraftError: the words are wrong, for every fold.
    """
    shared = {key: value for key, value in config.items() if key not in OWN}
    of_runs = [word for word in words if key_of(word) not in OWN]
    done: list[Fold] = []
    for cut in cuts:
        folder = cut.folder
        print(f"\n{folder.path.name}: {cut.fold} of {config['folds']}", flush=True)
        again = crossval_folder.again(folder)
        given = [f"data.{key}={cut.node[key]}" for key in ("folds", "fold", "split_seed")]
        try:
            run = train(
                RunConfig.of({**shared, "data": cut.node, "resume": str(folder.path) if again else None}),
                folder.path,
                crossval_folder.free(of_runs) if again else [*of_runs, *given],
            )
        except Exception as error:
            # Where the first made not even a folder, the words are wrong, for every fold.
            if not done and not folder.status_file.is_file() and isinstance(error, GraftError):
                raise
            reason = reason_of(error)
            line = f"graft: {folder.path.name} failed ({folder.log}): {reason}"
            print(line, file=sys.stderr, flush=True)
            done.append(cut.result({}, reason))
        else:
            done.append(cut.result(run.metrics))
    return done


def write_together(
    path: Path, name: str, rule: str, cuts: Sequence[Cut], done: Sequence[Fold], data: SampleData
) -> tuple[Sequence[Mapping[str, object]], str]:
    """Write the table, the page, the out-of-fold predictions and their metrics and figures.

    Figures and the table of the classes are those of the first repeat that has a fold.

    Args:
        path: the cross-validation's folder.
        name: of the configuration.
        rule: how the folds were cut.
        cuts: what was trained on.
        done: what came out of each cut.
        data: the images.

    Returns:
        The rows of the table, and what to say of few errors; empty where there are enough.
    """
    tested: dict[int, list[Cut]] = {}
    for cut, fold in zip(cuts, done, strict=True):
        if not fold.reason:
            tested.setdefault(cut.repeat, []).append(cut)
    number = {image: index for index, image in enumerate(data.samples.names)}
    task = SingleLabel(data.class_names)
    (first, predictions), *others = (pooled(task, of_repeat, number) for of_repeat in tested.values())
    folder = RunFolder(path)
    metrics = task.write(folder, first, lambda row: data.kind.card(data.samples[number[first.names[row]]]))
    write_json(folder.metrics_file, metrics)
    together = [metrics]
    for answers, of_repeat in others:
        together.append({f"test/{key}": value for key, value in assess(answers)[0].items()})
        predictions += of_repeat
    write_csv(folder.predictions, predictions)
    rows = rows_of(done, together, [*ASSESSED, "loss"])
    write_csv(path / "crossval.csv", rows)
    drawn = (
        folder.confusion_figure,
        folder.precision_figure,
        folder.reliability_figure,
        folder.mistakes_figure,
    )
    figures = [figure.relative_to(path.absolute()).as_posix() for figure in drawn if figure.is_file()]
    few = few_errors(metrics)
    write_text(path / "crossval.md", page(name, rule, rows, done, figures, few))
    return rows, few


def pooled(
    task: Task, cuts: Sequence[Cut], number: Mapping[str, int]
) -> tuple[Answers, list[Mapping[str, object]]]:
    """What the folds of one repeat said of their test images, in the order of the images' numbers.

    Returns:
        The answers, and their rows, each with the fold that tested it.

    Raises:
        GraftError: an image was tested twice.
    """
    tested = [(row, cut) for cut in cuts for row in read_csv(cut.folder.predictions)]
    tested.sort(key=lambda pair: number[pair[0]["path"]])
    if len({row["path"] for row, _ in tested}) < len(tested):
        raise GraftError("folds: an image is in the test part of two folds")
    answers = task.read([row for row, _ in tested])
    return answers, [
        {**row, "repeat": cut.repeat, "fold": cut.fold}
        for row, (_, cut) in zip(task.rows(answers), tested, strict=True)
    ]
