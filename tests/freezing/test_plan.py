"""What a strategy comes to: its phases, the stages that never change, rates, and what is observed."""

import pytest
from torch import nn

from graft.backbones import simple_cnn
from graft.freezing import (
    BiasOnly,
    FreezePlan,
    FreezeUnfreeze,
    Frozen,
    Full,
    Gradual,
    LastK,
    Lora,
    LpFt,
    NormOnly,
    Treatment,
)
from graft.freezing.parts import parts


@pytest.fixture
def stages():
    return nn.ModuleDict(
        {
            "stem": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
            "body": nn.Sequential(nn.Conv2d(4, 5, 3), nn.Dropout()),
            "top": nn.Linear(5, 6),
        }
    )


class Refreezes:
    def treatment(self, part, epoch):
        return Treatment(trains=epoch == 1 and part.stage == 1)


@pytest.mark.parametrize(
    ("strategy", "by_epoch"),
    [
        (Full(), [0, 0, 0, 0]),
        (Frozen(), [3, 3, 3, 3]),
        (Frozen(norm="frozen"), [3, 3, 3, 3]),
        # BatchNorm stands in the stem, and its statistics would move.
        (Frozen(norm="statistics"), [0, 0, 0, 0]),
        (LastK(1), [2, 2, 2, 2]),
        (LastK(2, norm="statistics"), [1, 1, 1, 1]),
        (FreezeUnfreeze(2), [3, 3, 0, 0]),
        (LpFt(epochs=3), [3, 3, 3, 0]),
        (Gradual(), [3, 2, 1, 0]),
        (Gradual(every=2), [3, 3, 2, 2]),
        (NormOnly(), [0, 0, 0, 0]),
        (BiasOnly(), [0, 0, 0, 0]),
        # What has trained is not what it was, though it stands still again.
        (Refreezes(), [3, 1, 1, 1]),
    ],
)
def test_the_prefix_by_epoch(strategy, by_epoch, stages):
    plan = FreezePlan(strategy, stages, 4)
    assert [plan.prefix(epoch) for epoch in range(4)] == by_epoch
    assert plan.prefix() == by_epoch[-1]


def test_adapters_train():
    backbone, strategy = simple_cnn(), Lora(r=2)
    strategy.prepare(backbone.stages)
    assert FreezePlan(strategy, backbone.stages, 1).prefix() == 0


@pytest.mark.parametrize(
    ("strategy", "starts"),
    [
        (Full(), (0,)),
        (Frozen(), (0,)),
        (LastK(1), (0,)),
        (FreezeUnfreeze(0), (0,)),
        (FreezeUnfreeze(1), (0, 1)),
        (FreezeUnfreeze(9), (0, 9)),
        (FreezeUnfreeze(10), (0,)),
        (Gradual(3), (0, 3, 6, 9)),
        (Refreezes(), (0, 1, 2)),
    ],
)
def test_phases_begin_where_something_changes(strategy, starts, stages):
    plan = FreezePlan(strategy, stages, 10)
    assert plan.phases == starts
    assert plan.changes == (len(starts) > 1)


def test_a_stage_without_parameters_begins_no_phase(stages):
    stages = nn.ModuleDict({"stem": stages["stem"], "pool": nn.MaxPool2d(2), "top": stages["top"]})
    plan = FreezePlan(Gradual(2), stages, 10)
    assert plan.phases == (0, 2, 6)
    assert [plan.prefix(epoch) for epoch in (0, 2, 4, 6)] == [3, 2, 2, 0]


def test_what_is_observed_changes_the_epochs_to_come_alone(stages):
    plan = FreezePlan(LpFt(epochs=99, patience=1), stages, 6)
    stem = parts(stages)[0].part
    assert (plan.phases, plan.first_epoch(stem)) == ((0,), None)
    # Neither is known to stay so.
    assert plan.changes
    assert plan.may_train(stem)
    plan.observe(0, 1.0)
    assert (plan.phases, plan.prefix(5)) == ((0,), 3)
    plan.observe(1, 1.0)
    assert (plan.phases, plan.first_epoch(stem)) == ((0, 2), 2)
    assert [plan.prefix(epoch) for epoch in range(4)] == [3, 3, 0, 0]
    assert [plan.head_rate(epoch) for epoch in range(4)] == [1.0, 1.0, 0.1, 0.1]


def test_a_plan_goes_on_from_its_state(stages):
    first, second = (FreezePlan(LpFt(epochs=99, patience=1), stages, 6) for _ in range(2))
    first.observe(0, 1.0)
    first.observe(1, 1.0)
    assert first.state_dict() == {"switch": 2, "lowest": 1.0, "lowest_epoch": 0}
    second.load_state_dict(first.state_dict())
    assert (second.phases, second.prefix(), second.state_dict()) == ((0, 2), 0, first.state_dict())
    assert [second.head_rate(epoch) for epoch in (1, 2)] == [1.0, 0.1]


def test_a_strategy_that_only_treats_has_nothing_else(stages):
    plan = FreezePlan(Refreezes(), stages, 4)
    plan.observe(0, 1.0)
    plan.load_state_dict({"switch": 0})
    assert (plan.observes, plan.state_dict(), plan.head_rate(3)) == (False, {}, 1.0)
    listed = [part for part, _, _ in parts(stages)]
    assert [plan.may_train(part) for part in listed] == [part.stage == 1 for part in listed]
