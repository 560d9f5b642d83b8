"""Up the ladder: the heads alone first, then what the deciding function says, as long as it pays."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from graft.advice import decision
from graft.advice.backbones import Ranked, seconds_an_epoch
from graft.advice.ladder import LADDER, SOLVED, words_of
from graft.advice.prior import Facts, Prior
from graft.advice.trainings import UNTESTED, Training, train_to
from graft.advice.trust import FOLDS
from graft.composition.composing import compose
from graft.configuration.network_names import network_of
from graft.configuration.rules import clean_name
from graft.configuration.run_config import Node
from graft.runs.advice_folder import AdviceFolder
from graft.sweeps.crossval import Train

# The share of a network that each step leaves frozen, and its other settings, in the words of the prior.
SETTINGS: Mapping[str, Mapping[str, object]] = {
    "frozen": {"frozen": 1.0},
    "last_k": {"frozen": 0.6, "layer_decay": 1.0},
    "lora": {"frozen": 0.8, "layer_decay": 1.0},
    "full": {"frozen": 0.0, "layer_decay": 0.75},
}
# Of all of them, as they are shipped.
SHIPPED: Mapping[str, object] = {
    "optimizer": "adamw",
    "schedule": "cosine",
    "smoothing": 0.0,
    "stochnorm": 0.0,
}
# Seconds that beginning or going on takes beside the epochs, and the gain below which no step up is worth it.
A_STEP, LEAST_GAIN = 2.0, 1e-3
Kept = Callable[[Training], None]


def ladder_of(
    ranked: Sequence[Ranked],
    options: Mapping[str, Node],
    shared: Sequence[str],
    folder: AdviceFolder,
    train: int,
    val: int,
) -> list[Training]:
    """All trainings that may be, none begun: each backbone by each step, the simplest steps first.

    Args:
        ranked: the backbones that go on, the cheapest first.
        options: of the group `backbone`.
        shared: words that all trainings have.
        folder: the advice's.
        train: training images.
        val: validation images.
    """
    trainings = []
    for step in LADDER:
        # To compose takes a third of a second; a step has as many epochs on every backbone.
        epochs = 1 if step == SOLVED else epochs_of([*shared, *step.words])
        for one in ranked:
            assert one.speed is not None
            words = (*shared, *words_of(one.candidate, options), *step.words, "calibrate=true", UNTESTED)
            run = folder.training(f"{clean_name(one.candidate.label)}-{step.name}")
            estimate = seconds_an_epoch(step.name, one.speed, train, val)
            trainings.append(Training(one.candidate, step, words, run, epochs, estimate))
    return trainings


def epochs_of(words: Sequence[str]) -> int:
    """How many epochs `graft train` has with these words."""
    return int(compose("train", words)[0]["trainer"]["max_epochs"])


def climb(
    trainings: Sequence[Training],
    facts: Facts,
    val: int,
    prior: Prior,
    goal: str,
    moment: float,
    end: float,
    train: Train,
    keep: Kept,
    tell: Callable[[str], None],
) -> tuple[list[Training], str]:
    """Train the heads alone, then what `decide` says, until nothing is worth its cost or the moment has come.

    Args:
        trainings: with what was spent on them.
        facts: of the task.
        val: validation images.
        prior: what recorded trainings say.
        goal: the validation metric.
        moment: of `time.monotonic`.
        end: when the folds must be done, of which the fewest that say something are to have their time.
        train: what `graft train` does.
        keep: told of each training after each call, however it ends.
        tell: told what is done.

    Returns:
        The trainings with what was spent on them, and why no more was trained.
    """
    known = {training.name: training for training in trainings}

    def go(training: Training, epoch: int) -> None:
        tell(f"trains {training.backbone.label}, {training.step.name}, to epoch {epoch} of {training.epochs}")
        known[training.name] = train_to(training, epoch, moment, train, keep)

    for training in trainings:
        if training.step == SOLVED and not training.finished and not training.failed:
            go(training, 1)
    while True:
        left = moment - time.monotonic()
        those = _candidates(known.values(), goal, val)
        step = decision.decide(decision.Known(those, facts, left, A_STEP, LEAST_GAIN), prior)
        if step is None:
            if all(one.finished or one.failed for one in known.values()):
                why = "all were trained to their end"
            else:
                why = "the time is up" if left <= 0 else "no step up is worth its cost"
            break
        training = known[step.name]
        if step.seconds > left:
            why = "no epoch of another training fits into the time that is left"
            break
        if time.monotonic() + step.seconds + _folds_need(list(known.values()), goal) > end:
            why = "what is left is for comparing the best with the head alone"
            break
        # A run that goes on is set up anew, which costs some seconds; so it goes on for as long again.
        go(training, min(max(step.epoch, 2 * (step.epoch - 1)), training.epochs))
    return list(known.values()), why


def _folds_need(trainings: Sequence[Training], goal: str) -> float:
    """Seconds to compare the best with the head alone; 0 as long as the head is the best."""
    best, head = best_of(trainings, goal), best_of([one for one in trainings if one.step == SOLVED], goal)
    if best is None or head is None or best == head:
        return 0.0
    return min(FOLDS) * (best.seconds + head.seconds)


def _candidates(trainings: Iterable[Training], goal: str, val: int) -> tuple[decision.Candidate, ...]:
    """The trainings as the deciding function knows them, judged by so many validation images."""
    known = []
    for training in trainings:
        if training.failed:
            continue
        curve = tuple(training.curve(goal))
        listed = network_of(training.backbone.node)
        network = listed.name if listed else training.backbone.name
        solved = training.step == SOLVED
        best = max(curve, default=0.5)
        known.append(
            decision.Candidate(
                training.name,
                {**SHIPPED, **SETTINGS[training.step.name], "network": network},
                training.epochs,
                curve,
                () if (each := training.seconds_an_epoch) is None else (each,) * len(curve),
                training.estimate or None,
                solved,
                math.sqrt(max(best * (1 - best), 1 / val) / val),
            )
        )
    return tuple(known)


def best_of(trainings: Sequence[Training], goal: str) -> Training | None:
    """The finished training with the best metric, the simplest of equals; None where none finished."""
    reached = [(one, value) for one in trainings if one.finished and (value := one.best(goal)) is not None]
    return max(reached, key=lambda pair: pair[1])[0] if reached else None


def with_spent(
    trainings: Sequence[Training], spent: Mapping[str, Sequence[tuple[int, float]]]
) -> list[Training]:
    """The trainings with what earlier starts spent on them."""
    return [
        replace(one, spent=tuple((int(epoch), float(seconds)) for epoch, seconds in spent.get(one.name, ())))
        for one in trainings
    ]
