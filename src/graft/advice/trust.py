"""How far to trust the winner: it and the head alone side by side, fold by fold, on the same images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from scipy import stats

from graft.advice.trainings import Training
from graft.composition.composing import compose
from graft.configuration.metric_names import lower_is_better
from graft.data import ImageData
from graft.processes.interruption import Paused, until
from graft.reporting.folds import Fold
from graft.reporting.groups import ROUNDING
from graft.sweeps.crossval import Cut, Train, cuts_of, train_folds

# Folds that are worth the time they take; two say next to nothing of a spread.
FOLDS = (5, 3)


@dataclass(frozen=True)
class Pair:
    """One fold: what the head alone and what the other training reached on its held-out images."""

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
        mean: of the differences other − head, turned so that more is better.
        low: of its 95 % interval, the corrected resampled t of Nadeau and Bengio (2003); None where nothing is
            known of the spread.
        high: as `low`.
        error: the standard error that the interval is made of.
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
        """Whether the other is ahead by more than one standard error.

        The rule by which Breiman, Friedman, Olshen and Stone (1984, Classification and Regression Trees,
        section 3.4.3) take the simplest model that is not worse than the best by more than that.
        """
        return self.error is not None and self.mean > self.error


def folds_within(seconds_a_fold: float, seconds: float) -> int:
    """How many folds fit into the seconds; 0 where too few do."""
    return next((folds for folds in FOLDS if folds * seconds_a_fold <= seconds), 0)


def compared(pairs: Sequence[Pair], goal: str) -> Comparison:
    """The mean difference with the interval that allows for training images that folds share."""
    sign = -1.0 if lower_is_better(goal) else 1.0
    values = [sign * (pair.other - pair.head) for pair in pairs]
    n, middle = len(values), mean(values)
    if n < 2 or (spread := stdev(values)) < ROUNDING:
        return Comparison(tuple(pairs), middle)
    share = mean(pair.tested / pair.trained for pair in pairs)
    error = spread * math.sqrt(1 / n + share)
    half = float(stats.t.ppf(0.975, n - 1)) * error
    return Comparison(tuple(pairs), middle, middle - half, middle + half, error)


def in_folds(
    head: Training, other: Training, folds: int, path: Path, data: ImageData, moment: float, goal: str, train: Train
) -> list[Pair]:
    """Train both on each fold, until the moment of `time.monotonic`; the folds that both have finished.

    Folds cut training and validation images only.

    Raises:
        GraftError: the folds cannot be cut.
    """
    plans = [_cuts(training, folds, path, data) for training in (head, other)]
    pairs: list[Pair] = []
    for cuts in zip(*(cuts for cuts, _, _ in plans), strict=True):
        done: list[Fold] = []
        try:
            with until(moment):
                for cut, (_, config, words) in zip(cuts, plans, strict=True):
                    done += train_folds([cut], config, words, train)
        except Paused:
            break
        if any(fold.reason for fold in done):
            continue
        values = [float(fold.metrics[f"test/{goal}"]) for fold in done]
        pairs.append(Pair(done[0].fold, *values, done[0].trained, done[0].tested))
    return pairs


def _cuts(training: Training, folds: int, path: Path, data: ImageData) -> tuple[list[Cut], dict[str, object], list[str]]:
    kept = [word for word in training.words if word not in ("test=false",)]
    words = [*kept, f"folds={folds}"]
    config, _ = compose("crossval", words)
    # The test of a fold is not the test.
    return cuts_of(config, path / f"{training.name}-{folds}", data), config, words
