"""The steps of an advice, in order; each leaves what it found in `Known`, and its tables in the folder."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from graft.advice.answer import backbone_rows, training_rows
from graft.advice.backbones import as_many_as_fit, go_on, measure, not_at_hand, rank, some_of, within
from graft.advice.climbing import climb, ladder_of, with_spent
from graft.advice.clock import Clock
from graft.advice.known import Known
from graft.advice.ladder import shared_words
from graft.advice.prior import Facts, shipped
from graft.advice.speed import Measured
from graft.advice.telling import Teller
from graft.advice.trainings import Training, test
from graft.advice.trust import FOLDS, compared, folds_within, in_folds, paired, promised, right_of
from graft.advice.what_helps import ABOUT_LABELS, figures_of, sections, tables_of, what_would_help
from graft.composition.composing import compose
from graft.configuration.building import check_trusted
from graft.configuration.paths import from_here
from graft.configuration.run_config import Node
from graft.configuration.schema import Config
from graft.data.grouping import one_of_each_picture
from graft.errors import GraftError
from graft.inspection.findings import find
from graft.inspection.inspection import inspect_images
from graft.inspection.tables import class_rows, copy_rows, image_rows
from graft.ranking.candidates import candidates
from graft.runs.advice_folder import AdviceFolder
from graft.runs.files import write_csv, write_figure
from graft.sources.opening import open_data, split_data
from graft.sweeps.crossval import Train

# Shares of the time by whose end look, ranking, retraining, questions about labels and folds are done; what
# is left is for the test. Where the look takes longer, each of the others has its part of what is left.
LOOKED, RANKED, CLIMBED, LABELLED, COMPARED = 0.1, 0.3, 0.6, 0.75, 0.95
# Seconds that figures and report take.
WRITING = 5.0
# Bits in which the hashes of near copies may differ, as `graft inspect` ships.
NEAR = 4


class TooShortError(GraftError):
    """The minutes are too few for an answer; more would do."""


class OutOfTimeError(Exception):
    """No time is left for what is not needed for the advice."""


@dataclass(frozen=True)
class Asked:
    """What was asked, and with what it is answered.

    Attributes:
        config: of `graft advise`.
        words: that led to it.
        folder: for all that is left.
        clock: of all starts.
        train: what `graft train` does.
        tell: told what is done.
    """

    config: Config
    words: list[str]
    folder: AdviceFolder
    clock: Clock
    train: Train
    tell: Teller

    @property
    def shared(self) -> list[str]:
        """The words that all trainings have."""
        return shared_words(self.words)

    @cached_property
    def node(self) -> Node:
        """The `data` node of the trainings: copies of an image are kept together."""
        whole = compose("train", self.shared)[0]
        self.check_recorded(whole)
        node: Node = whole["data"]
        return node

    def check_recorded(self, node: object) -> None:
        """Check that what an advice that goes on composes of its recorded words names no code but trusted.

        Raises:
            GraftError: it does.
        """
        if self.config["resume"]:
            check_trusted(node, self.config["trust"], str(self.folder.overrides))

    def keep_spent(self, known: Known) -> None:
        """Keep what was spent, for a start that goes on."""
        # A start that has not come to the trainings yet knows nothing of theirs.
        trainings = self.folder.read_spent().get("trainings", {})
        trainings |= {one.name: one.spent for one in known.trainings}
        self.keep(seconds=self.clock.spent, steps=self.clock.steps, trainings=trainings)

    def keep(self, **more: object) -> None:
        """Keep more for a start that goes on: what was spent, and what was chosen by the time there was."""
        self.folder.write_spent({**self.folder.read_spent(), **more})


def look(asked: Asked, known: Known) -> None:
    """Look at all images: damage, classes, copies, leaks.

    Raises:
        GraftError: there are none, they cannot be split, none validates, or some cannot be read.
    """
    asked.tell("looks at the images")
    node, folder = asked.node, asked.folder
    known.data = data = open_data(node)
    known.splits = splits = split_data(node, data)
    known.looked = looked = inspect_images(data, splits, NEAR, node.get("num_workers"), lambda *done: None)
    known.findings = find(looked)
    write_csv(folder.images, image_rows(looked))
    write_csv(folder.classes, class_rows(looked))
    if looked.exact or looked.near:
        write_csv(folder.copies, copy_rows(looked))
    if looked.unreadable:
        index, reason = looked.unreadable[0]
        raise GraftError(
            f"{len(looked.unreadable)} of {len(data.samples)} {data.kind.plural} cannot be read, such as"
            f" {data.samples.names[index]} ({reason}); take out those for which"
            f" {from_here(folder.images)} has a reason"
        )
    if not len(splits["val"]):
        raise GraftError(
            f"graft advise chooses by validation {data.kind.plural}, and there are none; leave "
            "data.val_fraction=0 out"
        )
    # One image of each picture: scores divide these images anew.
    known.indices = one_of_each_picture(data, np.sort(np.concatenate([splits["train"], splits["val"]])))


def rank_backbones(asked: Asked, known: Known) -> None:
    """Rank what is at hand, as far as the time goes, and say which go on.

    Raises:
        GraftError: no weights are at hand, or no backbone could be ranked.
    """
    config, clock, node = asked.config, asked.clock, asked.node
    data, indices, accelerator = known.data, known.indices, config["trainer"]["accelerator"]
    assert data is not None
    assert indices is not None
    assert known.splits is not None
    trained = known.splits["train"]
    known.not_at_hand = not_at_hand(config["options"], config["backbones"])
    those = candidates(config["options"], config["backbones"], config["weights"], config["image_size"])
    asked.check_recorded([one.node for one in those])
    able, failed = measure(
        those,
        data,
        indices,
        trained,
        node,
        accelerator=accelerator,
        seed=config["seed"],
        cost=config["cost"],
        tell=asked.tell,
    )
    # Of many images some do, which are drawn; a head sees all of them.
    left = clock.moment(RANKED, LOOKED) - time.monotonic()
    earlier = asked.folder.read_spent().get("ranked", {"images": 0, "backbones": []})
    # What an earlier start chose is ranked again, in no time, and by the same images.
    count = max(as_many_as_fit(able, len(indices), left), min(earlier["images"], len(indices)))
    stored = earlier["backbones"] if count == earlier["images"] else []
    known.indices = indices = indices[some_of(data.samples.labels[indices], count, config["seed"])]
    chosen, late = within(able, count, left, stored)
    known.ranked = [*late, *failed]
    if not chosen:
        short = TooShortError if late else GraftError
        raise short(f"minutes={config['minutes']:g}: no backbone could be ranked ({_reasons(known)})")
    asked.keep(ranked={"images": count, "backbones": [one.candidate.label for one in chosen]})
    asked.tell.plan(plan_of(clock, len(indices), chosen))
    ranked = rank(
        chosen,
        data,
        indices,
        trained,
        node,
        cache=config["cache"],
        accelerator=accelerator,
        seed=config["seed"],
        tell=asked.tell,
    )
    known.ranked = [*ranked, *late, *failed]
    known.going = go_on(ranked, len(indices))
    if not known.going:
        raise GraftError(f"no backbone could be ranked ({_reasons(known)})")
    write_csv(asked.folder.backbones, backbone_rows(known))


def _reasons(known: Known) -> str:
    return "; ".join(f"{one.candidate.label}: {one.row['reason']}" for one in known.ranked)


def plan_of(clock: Clock, images: int, chosen: Sequence[Measured]) -> list[str]:
    """What is going to be done, a line a step, and by when, in seconds since the first start."""
    goes_on = f", of which {clock.before / 60:.1f} were spent before" if clock.before else ""
    takes = sum(images * one.speed.to_rank for one in chosen)
    several = "1 backbone" if len(chosen) == 1 else f"{len(chosen)} backbones"
    rest = [
        ("retrain more, as long as it pays", CLIMBED, RANKED),
        ("say what more and other labels would give", LABELLED, CLIMBED),
        ("compare on folds", COMPARED, LABELLED),
    ]
    lines = [
        f"plan for {clock.seconds / 60:g} minutes{goes_on}:",
        f"  rank {several} by the features of {images:,} images: about {takes:.0f} s",
    ]
    moment = time.monotonic() + takes
    for what, share, before in rest:
        moment = clock.moment(share, before, moment)
        lines.append(f"  {what}: until {clock.before + max(moment - clock.started, 0):.0f} s at the latest")
    return [*lines, "  test once"]


def retrain(asked: Asked, known: Known) -> None:
    """Climb the ladder.

    Raises:
        GraftError: not even a head could be trained in the time.
    """
    config, clock, folder = asked.config, asked.clock, asked.folder
    assert known.data is not None
    assert known.splits is not None
    train, val = len(known.splits["train"]), len(known.splits["val"])
    ladder = ladder_of(known.going, config["options"], asked.shared, folder, train, val)
    known.trainings = with_spent(ladder, folder.read_spent().get("trainings", {}))

    def keep(training: Training) -> None:
        known.trainings = [training if one.name == training.name else one for one in known.trainings]
        asked.keep_spent(known)

    cheapest = known.going[0].speed
    assert cheapest is not None
    facts = Facts(train, len(known.data.class_names), cheapest.pixels)
    known.trainings, known.climbed = climb(
        known.trainings,
        facts,
        val,
        shipped(),
        config["goal"],
        clock.moment(CLIMBED, RANKED),
        clock.moment(COMPARED, CLIMBED),
        asked.train,
        keep,
        asked.tell,
    )
    write_csv(folder.ladder, training_rows(known))
    known.choose()
    if known.head is None:
        failed = "; ".join(f"{one.name}: {one.failed}" for one in known.trainings if one.failed)
        why = f" ({failed})" if failed else ""
        short = GraftError if failed else TooShortError
        raise short(f"minutes={config['minutes']:g}: no head could be trained in that time{why}")


def compare(asked: Asked, known: Known) -> None:
    """Set the best that retrains more beside the head alone, on as many folds as there is time for."""
    head, other, clock = known.head, known.other, asked.clock
    assert head is not None
    assert known.data is not None
    assert known.splits is not None
    tested = len(known.splits["test"])
    end = min(clock.moment(COMPARED, LABELLED), clock.moment(1.0) - seconds_to_test(known))
    left = end - time.monotonic()
    both = [head] if other is None else [head, other]
    fit = folds_for(asked, both, left)
    if other is None:
        known.compared = "nothing that retrains more has finished"
    elif not fit:
        takes = f"three would take {FOLDS[-1] * (other.seconds + head.seconds):.0f} s"
        known.compared = f"{takes}, and {max(left, 0):.0f} s are left"
        both, fit = [head], folds_for(asked, [head], left)
    whole, refused = None, ""
    for known.folds, known.repeats in fit:
        asked.keep(folds={_names(both): [known.folds, known.repeats]})
        times = f", {known.repeats} times" if known.repeats > 1 else ""
        asked.tell(f"trains {_names(both)} on {known.folds} folds{times}")
        try:
            whole = in_folds(
                both, known.folds, known.repeats, asked.folder.trials, known.data, end, asked.train
            )
            break
        except GraftError as error:
            # Such as a class with fewer images than folds, which may do for fewer.
            refused = str(error)
    if whole is None:
        # The head alone is an answer all the same.
        known.folds = known.repeats = 0
        known.compared = known.compared or refused
        return
    for one, done in zip(both, zip(*whole, strict=True), strict=False):
        known.promises[one.name] = promised(*right_of(done), tested)
    if len(both) == 2 and len(whole) > 1:
        pairs = paired(whole, asked.config["goal"])
        write_csv(asked.folder.folds, [vars(pair) for pair in pairs])
        known.comparison = compared(pairs)
        known.choose()
    elif len(both) == 2:
        known.compared = "fewer than two folds were done in time"


def seconds_to_test(known: Known) -> float:
    """Seconds that the test takes: a pass over its images, of whichever is advised; figures and pages."""
    assert known.splits is not None
    of = known.other or known.head
    assert of is not None
    speed = next(one.speed for one in known.ranked if one.candidate == of.backbone)
    return WRITING + (2 * len(known.splits["test"]) * speed.a_pass if speed else 0)


def folds_for(asked: Asked, trainings: Sequence[Training], seconds: float) -> list[tuple[int, int]]:
    """What folds of these fit into the seconds, as `folds_within`; what an earlier start began goes on."""
    begun = asked.folder.read_spent().get("folds", {}).get(_names(trainings))
    return [tuple(begun)] if begun else folds_within(sum(one.seconds for one in trainings), seconds)


def _names(trainings: Sequence[Training]) -> str:
    return " and ".join(one.name for one in trainings)


def ask_labels(asked: Asked, known: Known) -> None:
    """Ask what would help, on the features of the head alone, as long as there is time."""
    head = known.head
    assert head is not None
    assert known.splits is not None
    assert known.looked is not None
    assert known.indices is not None
    features = next(one.features for one in known.ranked if one.candidate == head.backbone)
    if features is None:
        return
    asked.tell("asks what more labels would give, and which labels look wrong")
    clock = asked.clock
    end = min(clock.moment(LABELLED, CLIMBED), clock.moment(1.0) - seconds_to_test(known))

    def check() -> None:
        if time.monotonic() > end:
            raise OutOfTimeError

    trained, seed = len(known.splits["train"]), asked.config["seed"]
    try:
        helping = what_would_help(
            known.looked, features, known.indices, head.backbone.label, trained, seed, check
        )
    except OutOfTimeError:
        # The folds, which decide what is advised, are worth more; an earlier start may have had the time.
        before = asked.folder.read_answer()
        known.parts |= {name: before[name] for name in ABOUT_LABELS if before.get(name)}
        return
    for name, figure in figures_of(helping).items():
        write_figure(asked.folder.path / name, figure)
    for name, rows in tables_of(helping).items():
        write_csv(asked.folder.path / name, rows)
    known.parts |= sections(helping, known.inspection_command(head.backbone))


def test_once(asked: Asked, known: Known) -> None:
    """Test the advised model, and no other; what an earlier start tested is said with it."""
    assert known.advised is not None
    asked.tell(f"tests {known.advised.name}")
    known.tested_before = {
        name: folder.metrics for name, folder in asked.folder.tested().items() if name != known.advised.name
    }
    test(known.advised, asked.train)
    known.tested = known.advised.folder.metrics


# By the name under which their time is told.
STEPS = {
    "look": look,
    "rank": rank_backbones,
    "retrain": retrain,
    "labels": ask_labels,
    "compare": compare,
    "test": test_once,
}
