"""What is believed of all candidates, from the prior and the epochs that are paid for: a Gaussian process.

What a candidate reaches is the prior's expectation and a deviation. Part of the deviation is shared by all
candidates of the task, part by those of one network, part by those that resemble each other, and the rest is
a candidate's own, of which more is forgotten the more epochs lie between. A curve that is long enough goes on
as recorded curves did. experiments/advice says how the constants were chosen.
"""

from typing import NamedTuple

import numpy as np

from graft.advice.prior import EPOCHS, Expected, Floats

# The deviation's standard deviation after 1, 7 and 50 epochs; shares of its variance.
SPREAD = (0.18, 0.24, 0.26)
OF_TASK, OF_NETWORK, OF_TRAITS, OF_ONE = 0.15, 0.15, 0.2, 0.5
OF_SOLVED = 0.1
# Over how many e-folds of epochs a candidate's own deviation is forgotten.
MEMORY = 4.0
# From how many epochs on a curve is continued by itself.
OWN_CURVE = 4
# Standard deviation of an accuracy beside its standard error: other seeds, other orders.
NOISE = 0.02
# The same for the logarithm of an epoch's seconds: of the machine and task, of a network, of one candidate.
COST_OF_TASK, COST_OF_NETWORK, COST_OF_ONE = 0.3, 0.15, 0.25


class Seen(NamedTuple):
    """What is paid for of one candidate.

    Attributes:
        place: the candidate's, among N.
        epochs: how many.
        accuracy: the best by then, 0 to 1.
        gained: of it, since half as many epochs.
        error: the accuracy's standard error.
        solved: not by an optimizer's settings, of which a candidate's own deviation mostly comes.
    """

    place: int
    epochs: int
    accuracy: float
    gained: float = 0.0
    error: float = 0.0
    solved: bool = False


def accuracies(
    expected: Expected, networks: Floats, seen: list[Seen], targets: Floats
) -> tuple[Floats, Floats]:
    """Mean and standard deviation `(N, H)` of the best accuracy by target epochs.

    Args:
        expected: what the prior says of N candidates.
        networks: `(N,)` a number for each network.
        seen: at most once a candidate.
        targets: `(N, H)` epochs.
    """
    mean, spread = by_epoch(expected.accuracy, targets), np.interp(np.log(targets), np.log(EPOCHS), SPREAD)
    if not seen:
        return mean, spread
    places = np.array([one.place for one in seen])
    epochs = np.array([float(one.epochs) for one in seen])
    off = (
        np.array([one.accuracy for one in seen]) - by_epoch(expected.accuracy[places], epochs[:, None])[:, 0]
    )
    scale = np.interp(np.log(epochs), np.log(EPOCHS), SPREAD)
    alike = resemblance(expected.traits, networks)[:, places]
    own = np.arange(len(networks))[:, None] == places
    between = alike[places] + np.diag([OF_SOLVED if one.solved else OF_ONE for one in seen])
    solver = np.linalg.inv(
        between * scale[:, None] * scale + np.diag([NOISE**2 + one.error**2 for one in seen])
    )
    kept = np.exp(-np.abs(np.log(targets)[:, :, None] - np.log(epochs)) / MEMORY)
    across = (alike[:, None] + OF_ONE * own[:, None] * kept) * spread[:, :, None] * scale
    variance = spread**2 - ((across @ solver) * across).sum(-1)
    mean, spread = mean + across @ (solver @ off), np.sqrt(np.maximum(variance, 1e-8))
    for one in seen:
        if one.epochs >= OWN_CURVE:
            mean[one.place], spread[one.place] = continued(one, targets[one.place])
    return mean, spread


def continued(one: Seen, targets: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation `(H,)` by target epochs of a curve that goes on, as recorded curves did.

    With each doubling of the epochs it gains part of what the last doubling gained, as far as there is room.
    Fitted by hand to the gains of all recorded curves.
    """
    further = np.log(targets / one.epochs)
    room = max(1.0 - one.accuracy, 1e-3)
    slope = one.gained * room / (one.gained + room)
    mean = one.accuracy + slope * (1 - np.exp(-further)) + 0.09 * one.epochs**-0.25 * room * further
    return np.minimum(mean, 1.0), np.maximum(further * (0.1 * room + 0.4 * slope), 1e-4)


def by_epoch(knots: Floats, targets: Floats) -> Floats:
    """Values `(N, H)` at epochs `(N, H)`, from those `(N, 3)` at EPOCHS: linear in the logarithm, 0 to 1."""
    logs = np.log(EPOCHS)
    where = np.clip(np.log(targets), logs[0], logs[-1])
    weight = np.stack([np.interp(where, logs, row) for row in np.eye(len(logs))], -1)
    value: Floats = np.clip((weight * knots[:, None, :]).sum(-1), 0.0, 1.0)
    return value


def resemblance(traits: Floats, networks: Floats) -> Floats:
    """The share `(N, N)` of the deviations' variance that two candidates have in common, beside their own."""
    far = ((traits[:, None] - traits) ** 2).sum(-1)
    shared: Floats = OF_TASK + OF_NETWORK * (networks[:, None] == networks) + OF_TRAITS * np.exp(-far)
    return shared


def costs(log_seconds: Floats, networks: Floats, measured: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation `(N,)` of the logarithm of an epoch's seconds.

    Args:
        log_seconds: `(N,)` what the prior says.
        networks: `(N,)` a number for each network.
        measured: `(N,)` seconds of an epoch; NaN where nothing is known of them.
        errors: `(N,)` the standard deviation of their logarithm.
    """
    places = np.flatnonzero(~np.isnan(measured))
    variance = COST_OF_TASK**2 + COST_OF_NETWORK**2 + COST_OF_ONE**2
    if not len(places):
        return log_seconds, np.full(len(log_seconds), np.sqrt(variance))
    shared = COST_OF_TASK**2 + COST_OF_NETWORK**2 * (networks[:, None] == networks[places])
    solver = np.linalg.inv(shared[places] + np.diag(COST_OF_ONE**2 + errors[places] ** 2))
    mean = log_seconds + shared @ (solver @ (np.log(measured[places]) - log_seconds[places]))
    spread = np.sqrt(np.maximum(variance - ((shared @ solver) * shared).sum(-1), 1e-8))
    mean[places], spread[places] = np.log(measured[places]), errors[places]
    return mean, spread
