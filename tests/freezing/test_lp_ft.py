"""Probe first, tune then: when the switch comes, what it does to the rates, and that it survives a stop."""

import pytest

from graft.freezing import LpFt, Part

PART = Part(0, 2, "stem", "weight", "weight")


def observed(losses, **settings):
    strategy = LpFt(**settings)
    for epoch, loss in enumerate(losses):
        strategy.observe(epoch, loss)
    return strategy


@pytest.mark.parametrize(
    ("losses", "settings", "switch"),
    [
        ([3, 2, 1], {"epochs": 5}, 5),
        ([1, 1, 1, 1, 1], {"epochs": 5}, 5),
        ([3, 2, 2, 2, 2], {"epochs": 9, "patience": 2}, 4),
        ([3, 2, 2.5, 1, 1.5, 1.2], {"epochs": 9, "patience": 2}, 6),
        ([1, 1], {"epochs": 9, "patience": 1}, 2),
        ([1, 1, 1], {"epochs": 2, "patience": 2}, 2),
        # What comes after the switch decides nothing any more.
        ([1, 1, 0.5, 2, 2, 2], {"epochs": 9, "patience": 1}, 2),
    ],
)
def test_the_probe_ends_when_it_stops_improving(losses, settings, switch):
    strategy = observed(losses, **settings)
    assert [strategy.treatment(PART, epoch).trains for epoch in (switch - 1, switch, 99)] == [
        *(False, True, True)
    ]
    assert (strategy.head_rate(switch - 1), strategy.head_rate(switch)) == (1.0, 0.1)


@pytest.mark.parametrize("stop", range(1, 6))
def test_a_stop_changes_nothing(stop):
    losses = [3, 2, 2, 2, 2, 1]
    whole = observed(losses, epochs=9, patience=2)
    first = observed(losses[:stop], epochs=9, patience=2)
    second = LpFt(epochs=9, patience=2)
    second.load_state_dict(first.state_dict())
    for epoch in range(stop, len(losses)):
        second.observe(epoch, losses[epoch])
    assert second.state_dict() == whole.state_dict()
