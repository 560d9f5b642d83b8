"""What to train next: one pure function of the candidates, what was paid for, and the seconds that are left."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from graft.advice.belief import Seen, accuracies, costs
from graft.advice.prior import Facts, Floats, Prior

# Epochs that a candidate may be looked ahead, in one go.
AHEAD = (1, 2, 4, 8, 16, 32, 49)
# An expected gain of accuracy that is not worth training for.
LEAST_GAIN = 1e-4
# The share of the seconds left that is added to each cost: with 0 gain a second decides, with much the gain alone.
PATIENCE = 0.03


@dataclass(frozen=True)
class Candidate:
    """One way to train, and what was paid for.

    Attributes:
        name: unique among the candidates.
        settings: in the words of `prior.atoms`.
        epochs: the most that it can train.
        accuracy: of validation, 0 to 1, after each paid epoch.
        seconds: of each paid epoch.
        seconds_an_epoch: what one is estimated to take before one is paid for.
    """

    name: str
    settings: Mapping[str, object]
    epochs: int
    accuracy: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()
    seconds_an_epoch: float | None = None


@dataclass(frozen=True)
class Known:
    """All that the decision may depend on.

    Attributes:
        candidates: in any order.
        facts: of the task.
        seconds_left: of the budget.
    """

    candidates: tuple[Candidate, ...]
    facts: Facts
    seconds_left: float


@dataclass(frozen=True)
class Step:
    """What to train next.

    Attributes:
        name: the candidate's.
        epoch: up to which, counted from its first.
        gain: the accuracy that may be expected above the best so far, at the epoch that made it worth it.
        seconds: what it is expected to take.
    """

    name: str
    epoch: int
    gain: float
    seconds: float


def decide(known: Known, prior: Prior) -> Step | None:
    """Which candidate to train up to which epoch next; None where nothing is worth its cost.

    It is the candidate with the highest expected improvement on the best accuracy so far, at the best of some numbers
    of further epochs, in units of the seconds of these and of a share of all that are left.
    """
    candidates = known.candidates
    if not candidates or known.seconds_left <= 0:
        return None
    expected = prior.expected([one.settings for one in candidates], known.facts)
    names = [str(one.settings.get("network", one.name)) for one in candidates]
    networks = np.array([float(names.index(name)) for name in names])
    seen = [
        Seen(place, len(one.accuracy), max(one.accuracy))
        for place, one in enumerate(candidates)
        if one.accuracy
    ]
    paid = np.array([float(len(one.accuracy)) for one in candidates])
    most = np.array([float(one.epochs) for one in candidates])
    targets = np.minimum(paid[:, None] + AHEAD, np.maximum(most, 1)[:, None])
    mean, spread = accuracies(expected, networks, seen, targets)
    best = max((one.accuracy for one in seen), default=0.0)
    gain = improvement(mean, spread, best) - improvement(mean, spread, 1.0)
    measured = np.array([measured_seconds(one) for one in candidates])
    log_seconds, unsure = costs(expected.log_seconds, networks, measured)
    further = np.maximum(targets - paid[:, None], 1)
    seconds = further * np.exp(log_seconds)[:, None]
    fits = ndtr((np.log(known.seconds_left) - np.log(seconds)) / unsure[:, None])
    worth = fits * gain / (seconds + PATIENCE * known.seconds_left)
    worth[paid >= most] = -1.0
    gain[(paid >= most)] = 0.0
    place, ahead = np.unravel_index(int(np.argmax(worth)), worth.shape)
    if (fits * gain)[place, ahead] < LEAST_GAIN:
        return None
    one = candidates[place]
    return Step(one.name, len(one.accuracy) + 1, float(gain[place, ahead]), float(seconds[place, 0]))


def advised(known: Known) -> Candidate | None:
    """The candidate that stands best now: with the highest accuracy that was paid for; None before the first."""
    paid = [one for one in known.candidates if one.accuracy]
    return max(paid, key=lambda one: max(one.accuracy), default=None)


def measured_seconds(candidate: Candidate) -> float:
    """Of a candidate's epoch: the median of those paid for, or else the estimate; NaN without either."""
    if candidate.seconds:
        return max(float(np.median(candidate.seconds)), 1e-3)
    return candidate.seconds_an_epoch or float("nan")


def improvement(mean: Floats, spread: Floats, above: float) -> Floats:
    """E[max(y − above, 0)] of normal y."""
    distance = (mean - above) / spread
    density = np.exp(-(distance**2) / 2) / np.sqrt(2 * np.pi)
    value: Floats = spread * (distance * ndtr(distance) + density)
    return value
