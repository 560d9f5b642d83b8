"""What to train next: one pure function of the candidates, what was paid for, and the seconds left.

experiments/advice replays it on recorded trainings.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from graft.advice.belief import Seen, accuracies, costs
from graft.advice.prior import EPOCHS, Facts, Floats, Prior

# Further epochs that are weighed, for each candidate.
AHEAD = (1, 2, 4, 8, 16, 32, 49)
# The share of the seconds left that is added to each cost: without it gain a second decides, which is hasty;
# with much of it the gain alone.
PATIENCE = 0.3
# Standard deviation of the logarithm of seconds: of one epoch about another, and about an estimate.
OF_MEASURED, OF_ESTIMATED = 0.03, 0.2
# A step's own seconds are at most this share of those of its epochs.
AROUND = 0.25


@dataclass(frozen=True)
class Candidate:
    """One way to train, and what was paid for.

    Attributes:
        name: unique among the candidates.
        settings: in the words of `graft.advice.prior.atoms`.
        epochs: the most that it can train; as many as were paid for where it is over.
        accuracy: of validation, 0 to 1, after each paid epoch.
        seconds: of each paid epoch.
        seconds_an_epoch: an estimate, for as long as no epoch is paid for.
        solved: its accuracy is what many epochs would come to, as that of a linear probe or a solved head is,
            and its seconds say nothing of others' epochs.
        error: the standard error of each accuracy.
    """

    name: str
    settings: Mapping[str, object]
    epochs: int
    accuracy: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()
    seconds_an_epoch: float | None = None
    solved: bool = False
    error: float = 0.0


@dataclass(frozen=True)
class Known:
    """All that the decision may depend on.

    Attributes:
        candidates: in any order; of equals the first is taken.
        facts: of the task.
        seconds_left: of the budget.
        seconds_a_step: what beginning or going on with a training takes beside its epochs.
        least_gain: an expected gain of accuracy for which nothing more is trained.
    """

    candidates: tuple[Candidate, ...]
    facts: Facts
    seconds_left: float
    seconds_a_step: float = 0.0
    least_gain: float = 1e-4


@dataclass(frozen=True)
class Step:
    """What to train next.

    Attributes:
        name: the candidate's.
        epoch: up to which, counted from its first.
        gain: of accuracy above the best so far, which is expected at the epoch that makes it worth its cost.
        seconds: that it is expected to take.
    """

    name: str
    epoch: int
    gain: float
    seconds: float


def decide(known: Known, prior: Prior) -> Step | None:
    """Which candidate to train up to which epoch next; None where nothing is worth its cost.

    The one with the most expected improvement on the best accuracy so far, over the seconds until then and a
    share of all that are left, at the best of some numbers of further epochs. What may not fit into the time
    left counts by the chance that it does.
    """
    candidates = known.candidates
    if not candidates or known.seconds_left <= 0:
        return None
    expected = prior.expected([one.settings for one in candidates], known.facts)
    names = [str(one.settings.get("network", one.name)) for one in candidates]
    networks = np.array([float(names.index(name)) for name in names])
    # Above chance, as the prior knows accuracy: two classes leave half the room that many do.
    chance = 1 / max(known.facts.classes, 1) if known.facts.classes > 1 else 0.0
    seen = [_seen(place, one, chance) for place, one in enumerate(candidates) if one.accuracy]
    best = max((one.accuracy for one in seen), default=0.0)

    paid = np.array([float(len(one.accuracy)) for one in candidates])
    most = np.array([float(one.epochs) for one in candidates])
    targets = np.maximum(np.minimum(paid[:, None] + AHEAD, most[:, None]), paid[:, None] + 1)
    mean, spread = accuracies(expected, networks, seen, targets)
    gain = improvement(mean, spread, best) - improvement(mean, spread, 1.0)

    measured, errors = zip(*map(_seconds, candidates), strict=True)
    log_seconds, unsure = costs(expected.log_seconds, networks, np.array(measured), np.array(errors))
    each = np.exp(log_seconds)
    seconds = known.seconds_a_step + (targets - paid[:, None]) * each[:, None]
    fits = _below((np.log(known.seconds_left) - np.log(seconds)) / unsure[:, None])
    gain = np.where((paid < most)[:, None], gain * fits, 0.0)
    worth = gain / (seconds + PATIENCE * known.seconds_left)
    place, ahead = divmod(int(np.argmax(worth)), len(AHEAD))
    if gain[place, ahead] * (1 - chance) < max(known.least_gain, 1e-12):
        return None
    # One epoch, since each is news; more where going on is itself dear.
    epochs = max(1, min(round(known.seconds_a_step / (AROUND * each[place])), int(most[place] - paid[place])))
    took = known.seconds_a_step + epochs * float(each[place])
    return Step(
        candidates[place].name, int(paid[place]) + epochs, float(gain[place, ahead]) * (1 - chance), took
    )


def advised(known: Known) -> Candidate | None:
    """The candidate that stands best now, with the highest accuracy paid for; None before the first."""
    paid = [one for one in known.candidates if one.accuracy]
    return max(paid, key=lambda one: max(one.accuracy), default=None)


def _seen(place: int, one: Candidate, chance: float) -> Seen:
    """What a candidate's curve has come to, in units of what there is above chance."""
    best, half = max(one.accuracy), max(one.accuracy[: (len(one.accuracy) + 1) // 2])
    epochs = EPOCHS[-1] if one.solved else len(one.accuracy)
    room = 1 - chance
    return Seen(place, epochs, (best - chance) / room, (best - half) / room, one.error / room, one.solved)


def _seconds(one: Candidate) -> tuple[float, float]:
    """A candidate's seconds an epoch and how sure they are; NaN where nothing is known of them."""
    if one.seconds and not one.solved:
        return max(float(np.median(one.seconds)), 1e-3), OF_MEASURED
    return one.seconds_an_epoch or float("nan"), OF_ESTIMATED


def improvement(mean: Floats, spread: Floats, above: float) -> Floats:
    """E[max(y − above, 0)] of normal y."""
    distance = (mean - above) / spread
    density = np.exp(-(distance**2) / 2) / np.sqrt(2 * np.pi)
    value: Floats = spread * (distance * _below(distance) + density)
    return value


def _below(value: Floats) -> Floats:
    """The standard normal distribution function."""
    from scipy.special import ndtr

    chances: Floats = ndtr(value)
    return chances
