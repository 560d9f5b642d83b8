"""The decision is a pure function of what is paid for: it keeps the budget, stops, and finds what is best."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from graft.advice.decision import Candidate, Known, Step, advised, decide, improvement
from graft.advice.prior import Facts, shipped

FACTS = Facts(images=2000, classes=30, pixels=128)
GOOD: Mapping[str, object] = {"optimizer": "adamw", "lr": 1e-4, "frozen": 0.4, "warmup_epochs": 0}
NETWORKS = ("edgenext_xx_small", "edgenext_small", "volo_d1_384", "beit_large_patch16_512")
# The share of the way to its limit that a curve goes in an epoch, and that limit.
LIMITS = (0.55, 0.95, 0.7, 0.4)


def curve(limit: float) -> tuple[float, ...]:
    return tuple(float(limit * (1 - 0.4**epoch)) for epoch in range(1, 11))


RECORDED = {
    f"{network}-{lr:g}": ({**GOOD, "network": network, "lr": lr}, curve(limit * share), each)
    for network, limit, each in zip(NETWORKS, LIMITS, (10.0, 20.0, 60.0, 400.0), strict=True)
    for lr, share in ((1e-4, 1.0), (1e-5, 0.6), (1e-2, 0.1))
}


def candidates() -> tuple[Candidate, ...]:
    return tuple(Candidate(name, settings, 10) for name, (settings, _, _) in RECORDED.items())


def replay(budget: float, **changes: float) -> tuple[list[Step], Known]:
    """All steps, and what is known after them."""
    known, steps = Known(candidates(), FACTS, budget, **changes), []
    while (step := decide(known, shipped())) is not None:
        _, accuracy, each = RECORDED[step.name]
        steps.append(step)
        spent = known.seconds_left
        paid: list[Candidate] = []
        for one in known.candidates:
            if one.name == step.name:
                spent -= known.seconds_a_step + each * (step.epoch - len(one.accuracy))
                one = replace(one, accuracy=accuracy[: step.epoch], seconds=(each,) * step.epoch)
            paid.append(one)
        known = replace(known, candidates=tuple(paid), seconds_left=spent)
        assert len(steps) < 200
    return steps, known


def test_finds_the_best_and_stops() -> None:
    steps, known = replay(100_000.0)
    best = advised(known)
    assert best is not None
    assert best.name == "edgenext_small-0.0001"
    assert max(best.accuracy) > 0.94
    # What is left would pay for everything there is.
    assert known.seconds_left > 50_000
    assert len(steps) < 120


@pytest.mark.parametrize("budget", [40.0, 300.0, 2000.0])
def test_keeps_the_budget_once_seconds_are_known(budget: float) -> None:
    steps, known = replay(budget)
    assert steps
    # An epoch of a training that has begun takes what its last one took.
    begun: set[str] = set()
    left = budget
    for step in steps:
        each = RECORDED[step.name][2]
        if step.name in begun:
            assert left >= 0.9 * each
        begun.add(step.name)
        left -= each
    assert left == pytest.approx(known.seconds_left)


def test_nothing_is_begun_that_is_estimated_to_take_longer_than_is_left() -> None:
    one = Candidate("one", {**GOOD, "network": "edgenext_small"}, 10, seconds_an_epoch=300.0)
    assert decide(Known((one,), FACTS, 100.0), shipped()) is None
    assert decide(Known((one,), FACTS, 1000.0), shipped()) is not None
    assert decide(Known((one,), FACTS, 0.0), shipped()) is None
    assert decide(Known((), FACTS, 100.0), shipped()) is None


def test_decides_the_same_again_and_whatever_comes_after_what_is_paid() -> None:
    first, _ = replay(3000.0)
    again, _ = replay(3000.0)
    assert first == again
    # With curves that end elsewhere, all steps before that are the same.
    changed = 3
    name = first[0].name
    settings, accuracy, each = RECORDED[name]
    kept = dict(RECORDED)
    try:
        RECORDED[name] = (settings, (*accuracy[:changed], *(0.99,) * (10 - changed)), each)
        other, _ = replay(3000.0)
    finally:
        RECORDED.update(kept)
    until = next(place for place, step in enumerate(first) if step.name == name and step.epoch > changed)
    assert other[: until + 1] == first[: until + 1]
    assert other != first


def test_what_is_over_is_not_trained_on() -> None:
    over = tuple(replace(one, accuracy=RECORDED[one.name][1], seconds=(1.0,) * 10) for one in candidates())
    assert decide(Known(over, FACTS, 1e6), shipped()) is None
    half = replace(over[1], accuracy=over[1].accuracy[:1], seconds=(1.0,))
    step = decide(Known((over[0], half), FACTS, 1e6), shipped())
    assert step is not None
    assert step.name == half.name


def test_a_gain_too_small_is_not_trained_for() -> None:
    steps, _ = replay(1e5)
    fewer, known = replay(1e5, least_gain=0.05)
    assert len(fewer) < len(steps)
    assert advised(known) is not None


def test_where_a_step_is_dear_it_goes_further() -> None:
    one = Candidate("one", {**GOOD, "network": "edgenext_small"}, 10, (0.3,), (10.0,))
    cheap = decide(Known((one,), FACTS, 1e4), shipped())
    dear = decide(Known((one,), FACTS, 1e4, seconds_a_step=10.0), shipped())
    assert cheap is not None
    assert dear is not None
    assert (cheap.epoch, dear.epoch) == (2, 5)
    assert dear.seconds == pytest.approx(50.0)


def test_a_network_whose_head_does_well_is_retrained_first() -> None:
    heads = {"edgenext_small": 0.7, "edgenext_x_small": 0.9, "mobilevit_xs": 0.7}
    solved = [
        Candidate(
            f"{name}-head", {"network": name, "frozen": 1.0}, 1, (value,), (5.0,), solved=True, error=0.02
        )
        for name, value in heads.items()
    ]
    full = [Candidate(name, {**GOOD, "network": name}, 10, seconds_an_epoch=20.0) for name in heads]
    step = decide(Known((*solved, *full), FACTS, 900.0), shipped())
    assert step is not None
    assert step.name == "edgenext_x_small"


def test_a_solved_head_promises_less_than_a_first_epoch_that_is_as_good() -> None:
    full = Candidate("full", {**GOOD, "network": "edgenext_small"}, 10, seconds_an_epoch=20.0)
    head = Candidate("head", {"network": "edgenext_small", "frozen": 1.0}, 1, (0.5,), (5.0,))
    gains = []
    for one in (head, replace(head, solved=True)):
        step = decide(Known((one, full), FACTS, 1e4), shipped())
        assert step is not None
        gains.append(step.gain)
    assert gains[1] < 0.8 * gains[0]


def test_a_curve_that_has_settled_is_left_for_another() -> None:
    settings = {**GOOD, "network": "edgenext_small"}
    flat = Candidate("flat", settings, 50, (0.6,) * 12, (10.0,) * 12)
    other = Candidate("other", {**settings, "lr": 3e-4}, 50, seconds_an_epoch=10.0)
    step = decide(Known((flat, other), FACTS, 1e4), shipped())
    assert step is not None
    assert step.name == "other"


def test_the_best_epoch_is_advised_wherever_it_was() -> None:
    early = Candidate("early", {}, 3, (0.5, 0.2), (1.0, 1.0))
    late = Candidate("late", {}, 3, (0.1, 0.6, 0.4), (1.0, 1.0, 1.0))
    found = advised(Known((early, late), FACTS, 1.0))
    assert found is not None
    assert found.name == "late"


def test_two_classes_leave_room_above_chance_alone() -> None:
    one = Candidate("one", {**GOOD, "network": "edgenext_small"}, 10, (0.5,), (10.0,))
    step = decide(Known((one,), Facts(2000, 2, 128), 1e4), shipped())
    assert step is not None
    assert 0 < step.gain <= 0.5


def test_nothing_is_advised_before_anything_is_paid() -> None:
    assert advised(Known(candidates(), FACTS, 1.0)) is None


def test_improvement_is_that_of_draws() -> None:
    draws = np.random.default_rng(0).normal(0.4, 0.2, 200_000)
    value = improvement(np.array([0.4]), np.array([0.2]), 0.5)
    assert value[0] == pytest.approx(np.maximum(draws - 0.5, 0).mean(), rel=0.02)
