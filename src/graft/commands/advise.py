"""`graft advise`: which backbone, how much of it to retrain, how far to trust the number.

It looks, ranks, retrains more as long as that pays, sets the best beside the head alone, and tests once. What
is known stands in `Known`, and is written however it ends, so that it can be stopped at any time.
"""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from graft.advice.answer import Known, backbone_rows, page, plain, training_rows
from graft.advice.backbones import Measured, go_on, measure, not_at_hand, rank, within
from graft.advice.climbing import best_of, climb, ladder_of, with_spent
from graft.advice.clock import Clock
from graft.advice.ladder import SOLVED, shared_words
from graft.advice.prior import Facts, shipped
from graft.advice.report import write_report
from graft.advice.telling import Teller, telling
from graft.advice.trainings import Training, test
from graft.advice.trust import FOLDS, compared, folds_within, in_folds, paired, promised, right_of
from graft.advice.what_helps import figures_of, sections, tables_of, what_would_help
from graft.composition.composing import compose
from graft.configuration.schema import Config
from graft.data.grouping import one_of_each_picture
from graft.data.image_data import Indices
from graft.errors import GraftError, reason_of
from graft.inspection.findings import find
from graft.inspection.inspection import Inspection, inspect_images
from graft.inspection.tables import class_rows, copy_rows, image_rows
from graft.ranking.candidates import candidates
from graft.runs.advice_folder import AdviceFolder, begun
from graft.runs.files import write_csv, write_figure, write_json, write_text
from graft.sources.opening import open_data, split_data
from graft.sweeps.crossval import Train
from graft.training.checks import check_device


class OutOfTimeError(Exception):
    """No time is left for what is not needed for the advice."""


# Shares of the time by whose end ranking, retraining and folds are done; what is left is for the test.
RANKED, CLIMBED, COMPARED = 0.3, 0.65, 0.95
# Seconds that figures and report take.
WRITING = 5.0


def run(
    config: Config, path: Path, overrides: list[str], train: Train, began: float | None = None
) -> AdviceFolder:
    """Answer for the images of `config["data"]`; all that it leaves stands in the folder `path`.

    Args:
        config: resolved and checked; with a folder in `resume` it is the one recorded there.
        path: becomes the folder, unless one goes on.
        overrides: the words that led to `config`.
        train: what `graft train` does.
        began: when the command did, of `time.monotonic`; None: now.

    Raises:
        GraftError: the images, the device or every backbone are not to be had.
        KeyboardInterrupt: Ctrl-C came; the answer so far is written.
    """
    check_device(config["trainer"]["accelerator"])
    folder = AdviceFolder(config["resume"] or path)
    before = folder.read_spent()
    clock = Clock(
        60 * config["minutes"],
        before.get("seconds", 0.0),
        dict(before.get("steps", {})),
        time.monotonic() if began is None else began,
    )
    known = Known({key: config[key] for key in ("goal", "minutes", "cost", "options")} | {"words": overrides})
    with begun(folder, config, overrides), telling(folder.log, clock) as tell:
        try:
            _answer(known, folder, config, overrides, clock, train, tell)
        except KeyboardInterrupt:
            known.stopped = "it was interrupted"
            _choose(known)
            raise
        except GraftError as error:
            known.stopped = reason_of(error)
            raise
        finally:
            _write(known, folder, clock)
            tell.end(f"graft advise resume={folder.path} goes on" if known.stopped else "")
    for line in plain(known, clock)["sentences"]:
        print(line)
    print(folder.report)
    return folder


def _answer(
    known: Known,
    folder: AdviceFolder,
    config: Config,
    words: list[str],
    clock: Clock,
    train: Train,
    tell: Teller,
) -> None:
    """All steps in order, each leaving what it found in `known`."""
    shared = shared_words(words)
    # As its trainings see them, copies of an image kept together.
    node = compose("train", shared)[0]["data"]
    with clock.step("look"):
        tell("looks at the images")
        known.data = data = open_data(node)
        known.splits = splits = split_data(node, data)
        looked = inspect_images(data, splits, 4, node.get("num_workers"), lambda what, done: None)
        known.findings = find(looked)
        write_csv(folder.images, image_rows(looked))
        write_csv(folder.classes, class_rows(looked))
        if looked.exact or looked.near:
            write_csv(folder.copies, copy_rows(looked))
        if looked.unreadable:
            index, reason = looked.unreadable[0]
            raise GraftError(
                f"{len(looked.unreadable)} of {len(data.images)} images cannot be read, such as"
                f" {data.images.names[index]} ({reason}); take out those that {folder.images} names"
            )
    # One image of each picture: scores divide these images anew.
    indices = one_of_each_picture(data, np.sort(np.concatenate([splits["train"], splits["val"]])))
    accelerator = config["trainer"]["accelerator"]

    with clock.step("rank"):
        asked = candidates(config["options"], config["backbones"], config["weights"])
        able, failed = measure(asked, data, indices, node, accelerator, config["cost"], tell)
        chosen, late = within(able, len(indices), clock.moment(RANKED) - time.monotonic())
        known.ranked = [*late, *failed]
        known.not_at_hand = not_at_hand(config["options"], config["backbones"])
        if not chosen:
            raise GraftError(
                f"minutes={config['minutes']:g}: no backbone could be ranked ({_reasons(known)})"
            )
        tell.plan(_plan(clock, len(indices), chosen))
        ranked = rank(
            chosen,
            data,
            indices,
            node,
            cache=config["cache"],
            accelerator=accelerator,
            seed=config["seed"],
            tell=tell,
        )
        known.ranked = [*ranked, *late, *failed]
        going = go_on(ranked, len(indices))
        known.going_on = [one.candidate.label for one in going]
        if not going:
            raise GraftError(f"no backbone could be ranked ({_reasons(known)})")
        write_csv(folder.backbones, backbone_rows(known))

    with clock.step("retrain"):
        trainings = ladder_of(
            going, config["options"], shared, folder, len(splits["train"]), len(splits["val"])
        )
        known.trainings = trainings = with_spent(trainings, folder.read_spent().get("trainings", {}))

        def keep(training: Training) -> None:
            known.trainings = [training if one.name == training.name else one for one in known.trainings]
            _keep_spent(known, folder, clock)

        side = going[0].speed.pixels if going[0].speed else 224
        facts = Facts(len(splits["train"]), len(data.class_names), side)
        known.trainings, known.climbed = climb(
            trainings,
            facts,
            len(splits["val"]),
            shipped(),
            config["goal"],
            clock.moment(CLIMBED),
            clock.moment(COMPARED),
            train,
            keep,
            tell,
        )
        write_csv(folder.ladder, training_rows(known))
    _choose(known)
    if known.head is None:
        raise GraftError(f"minutes={config['minutes']:g}: no head could be trained in that time")

    with clock.step("compare"):
        _compare(known, folder, config, clock, train, tell)
    _choose(known)

    with clock.step("labels"):
        features = next(one.features for one in ranked if one.candidate == known.head.backbone)
        if features is not None:
            tell("asks what more labels would give, and which labels look wrong")
            _ask_labels(known, folder, looked, features, indices, config, clock)

    with clock.step("test"):
        assert known.advised is not None
        tell(f"tests {known.advised.name}")
        test(known.advised, train)
        known.tested = known.advised.folder.metrics
        shutil.rmtree(folder.model, ignore_errors=True)
        shutil.copytree(known.advised.folder.bundle, folder.model)


def _compare(
    known: Known, folder: AdviceFolder, config: Config, clock: Clock, train: Train, tell: Teller
) -> None:
    """Set the best that retrains more beside the head alone, on as many folds as there is time for."""
    head, other = known.head, known.other
    assert head is not None
    assert known.data is not None
    assert known.splits is not None
    tested = len(known.splits["test"])
    # The test is a pass over its images, and figures and pages are written.
    speed = next(one.speed for one in known.ranked if one.candidate.label == (other or head).backbone.label)
    testing = WRITING + (2 * tested * speed.a_pass if speed else 0)
    end = min(clock.moment(COMPARED), clock.moment(1.0) - testing)
    left = end - time.monotonic()
    both = [head] if other is None else [head, other]
    folds = folds_within(sum(one.seconds for one in both), left)
    if other is None:
        known.compared = "nothing that retrains more has finished"
    elif not folds:
        takes = f"three would take {FOLDS[-1] * (other.seconds + head.seconds):.0f} s"
        known.compared = f"{takes}, and {max(left, 0):.0f} s are left"
        both, folds = [head], folds_within(head.seconds, left)
    if not folds:
        return
    tell(f"trains {' and '.join(one.name for one in both)} on {folds} folds")
    whole = in_folds(both, folds, folder.trials, known.data, end, train)
    for one, done in zip(both, zip(*whole, strict=True), strict=True):
        known.promises[one.name] = promised(*right_of(done), tested)
    if len(both) == 2 and len(whole) > 1:
        pairs = paired(whole, config["goal"])
        write_csv(folder.folds, [vars(pair) for pair in pairs])
        known.comparison = compared(pairs)
    elif len(both) == 2:
        known.compared = "fewer than two folds were done in time"


def _ask_labels(
    known: Known,
    folder: AdviceFolder,
    looked: Inspection,
    features: Tensor,
    indices: Indices,
    config: Config,
    clock: Clock,
) -> None:
    """Ask what would help, on the features of the head alone, as long as there is time."""
    assert known.head is not None
    assert known.splits is not None

    def check() -> None:
        if clock.left < WRITING:
            raise OutOfTimeError

    backbone = known.head.backbone
    try:
        helping = what_would_help(
            looked, features, indices, backbone.label, len(known.splits["train"]), config["seed"], check
        )
    except OutOfTimeError:
        return
    for name, figure in figures_of(helping).items():
        write_figure(folder.path / name, figure)
    for name, rows in tables_of(helping).items():
        write_csv(folder.path / name, rows)
    known.parts |= sections(helping, known.inspection_command(backbone))


def _choose(known: Known) -> None:
    """The head alone, the best of the others, and which of them is advised."""
    goal = known.question["goal"]
    known.head = best_of([one for one in known.trainings if one.step == SOLVED], goal)
    known.other = best_of([one for one in known.trainings if one.step != SOLVED], goal)
    better = known.comparison is not None and known.comparison.worth_it
    known.advised = known.other if better else known.head


def _reasons(known: Known) -> str:
    return "; ".join(f"{one.candidate.label}: {one.row['reason']}" for one in known.ranked)


def _plan(clock: Clock, images: int, chosen: Sequence[Measured]) -> list[str]:
    passes = sum(images * one.speed.a_pass for one in chosen)
    rest = [("retrain more, as long as it pays", CLIMBED - RANKED), ("compare on folds", COMPARED - CLIMBED)]
    return [
        f"plan for {clock.seconds / 60:g} minutes:",
        f"  rank {len(chosen)} backbones by the features of {images:,} images: {passes:.0f} s",
        *(f"  {what}: at most {share * clock.seconds:.0f} s" for what, share in rest),
        "  test once",
    ]


def _keep_spent(known: Known, folder: AdviceFolder, clock: Clock) -> None:
    folder.write_spent(
        {
            "seconds": clock.spent,
            "steps": clock.steps,
            "trainings": {one.name: one.spent for one in known.trainings},
        }
    )


def _write(known: Known, folder: AdviceFolder, clock: Clock) -> None:
    """What is known so far, as JSON and as a page."""
    _keep_spent(known, folder, clock)
    answer = plain(known, clock)
    write_json(folder.answer, answer)
    write_text(folder.page, page(answer, write_report(folder, answer)))
