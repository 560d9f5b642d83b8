"""How far to trust the winner: it and the head alone side by side, fold by fold, on the same images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from scipy import stats

from graft.advice.trainings import UNTESTED, Training
from graft.composition.composing import compose
from graft.data import SampleData
from graft.processes.interruption import Paused, until
from graft.reporting.folds import Fold, corrected_interval
from graft.sweeps.crossval import Cut, Train, cuts_of, train_folds

# Folds that are worth the time they take, the most first, and how often they are cut anew at most: two say
# next to nothing of a spread. Ten learn from nine tenths of the images, five from four fifths; what
# retraining gains grows with them, so ten say more than five that are cut twice (experiments/advice).
FOLDS, REPEATS = (10, 5, 3), 4


@dataclass(frozen=True)
class Pair:
    """One fold: what the head alone and what the other training reached on its held-out images.

    `fold` counts on from repeat to repeat.
    """

    fold: int
    head: float
    other: float
    trained: int
    tested: int


@dataclass(frozen=True)
class Comparison:
    """How far the other training is ahead of the head alone.

    Attributes:
        pairs: the folds that both have.
        mean: of the differences other − head.
        low: of its 95 % interval, the corrected resampled t of Nadeau and Bengio (2003); None where nothing
            is known of the spread.
        high: as `low`.
        error: the standard error of the mean, which decides; it takes the folds to be independent, as the
            interval does not.
    """

    pairs: tuple[Pair, ...]
    mean: float
    low: float | None = None
    high: float | None = None
    error: float | None = None

    @property
    def measurable(self) -> bool:
        """Whether the interval leaves out that there is no difference."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    @property
    def worth_it(self) -> bool:
        """Whether the other is ahead by more than one standard error of the mean.

        The rule by which Breiman, Friedman, Olshen and Stone (1984, Classification and Regression Trees,
        section 3.4.3) take the simplest model that is not worse than the best by more than that.
        """
        return self.error is not None and self.mean > self.error


def folds_within(seconds_a_fold: float, seconds: float) -> list[tuple[int, int]]:
    """What fits into the seconds: folds and how often they are cut, the most folds first."""
    fit = [folds for folds in FOLDS if folds * seconds_a_fold <= seconds]
    return [(folds, min(REPEATS, int(seconds / (folds * max(seconds_a_fold, 1e-9))))) for folds in fit]


def compared(pairs: Sequence[Pair]) -> Comparison:
    """The mean difference with the interval that allows for training images that folds share."""
    values = [pair.other - pair.head for pair in pairs]
    share = mean(pair.tested / pair.trained for pair in pairs)
    interval = corrected_interval(values, share, least=-math.inf)
    if interval is None:
        return Comparison(tuple(pairs), mean(values))
    return Comparison(tuple(pairs), mean(values), *interval, stdev(values) / math.sqrt(len(values)))


@dataclass(frozen=True)
class Promise:
    """What to expect of a test's accuracy, before it is seen.

    Attributes:
        low: of its 95 % prediction interval.
        high: as `low`.
        images: held-out images that it rests on.
        right: of them.
        tested: test images that it is for.
    """

    low: float
    high: float
    images: int
    right: int
    tested: int


def promised(right: int, images: int, tested: int) -> Promise:
    """What so many right of so many held-out images promise for others.

    The number of right ones among the tested has the beta-binomial distribution that follows from Jeffreys'
    prior (Brown, Cai and DasGupta 2001, section 3.1, have the prior): the chance of both samples is in it.
    That the folds' models are others than the tested one, trained on other images, is not.
    """
    ahead = stats.betabinom(tested, right + 0.5, images - right + 0.5)
    return Promise(float(ahead.ppf(0.025)) / tested, float(ahead.ppf(0.975)) / tested, images, right, tested)


def in_folds(
    trainings: Sequence[Training],
    folds: int,
    repeats: int,
    path: Path,
    data: SampleData,
    moment: float,
    train: Train,
) -> list[list[Fold]]:
    """Train each on each fold of each repeat, until the moment of `time.monotonic`.

    Folds cut training and validation images only.

    Returns:
        For each fold that all of them have finished, what came out for each.

    Raises:
        GraftError: the folds cannot be cut.
    """
    plans = [_cuts(training, folds, repeats, path, data) for training in trainings]
    whole: list[list[Fold]] = []
    for cuts in zip(*(cuts for cuts, _, _ in plans), strict=True):
        done: list[Fold] = []
        try:
            with until(moment):
                for cut, (_, config, words) in zip(cuts, plans, strict=True):
                    done += train_folds([cut], config, words, train)
        except Paused:
            break
        if not any(fold.reason for fold in done):
            whole.append(done)
    return whole


def paired(whole: Sequence[Sequence[Fold]], goal: str) -> list[Pair]:
    """The folds of the head alone and of another training, which come second."""
    return [
        Pair(
            number,
            float(head.metrics[f"test/{goal}"]),
            float(other.metrics[f"test/{goal}"]),
            head.trained,
            head.tested,
        )
        for number, (head, other) in enumerate(whole, start=1)
    ]


def right_of(folds: Sequence[Fold]) -> tuple[int, int]:
    """How many held-out images are right, and how many there are; of repeats, which share them, the mean."""
    repeats = len({fold.repeat for fold in folds})
    right = sum(fold.metrics["test/accuracy"] * fold.tested for fold in folds) / repeats
    return round(right), round(sum(fold.tested for fold in folds) / repeats)


def _cuts(
    training: Training, folds: int, repeats: int, path: Path, data: SampleData
) -> tuple[list[Cut], dict[str, object], list[str]]:
    kept = [word for word in training.words if word != UNTESTED]
    words = [*kept, f"folds={folds}", f"repeats={repeats}"]
    config, _ = compose("crossval", words)
    # The test of a fold is not the test.
    return cuts_of(config, path / f"{training.name}-{folds}", data), config, words
