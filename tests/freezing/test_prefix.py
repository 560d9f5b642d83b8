"""How many stages, from the stem on, never change."""

import pytest
from torch import nn

from graft.backbones import simple_cnn
from graft.freezing import (
    BiasOnly,
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
from graft.freezing.apply import phases
from graft.freezing.prefix import frozen_prefix


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
def test_by_epoch(strategy, by_epoch, stages):
    starts = phases(strategy, stages, 4)
    found = [frozen_prefix(strategy, stages, [s for s in starts if s <= epoch]) for epoch in range(4)]
    assert found == by_epoch


def test_adapters_train():
    backbone, strategy = simple_cnn(), Lora(r=2)
    strategy.prepare(backbone.stages)
    assert frozen_prefix(strategy, backbone.stages, [0]) == 0
