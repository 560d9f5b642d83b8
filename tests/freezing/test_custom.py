"""A list of patterns: the first match counts, and nothing is left out in silence."""

import pytest
from torch import nn

from graft.errors import GraftError
from graft.freezing import Custom, FreezePlan
from graft.freezing.apply import apply
from graft.freezing.parts import parts


@pytest.fixture
def stages():
    return nn.ModuleDict(
        {
            "stem": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
            "top": nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)),
        }
    )


def test_the_first_match_counts(stages):
    strategy = Custom(
        [
            {"pattern": "*.bias", "trains": False},
            {"pattern": "top.*", "trains": True, "from_epoch": 2},
            {"pattern": "*", "trains": False},
        ]
    )
    strategy.prepare(stages)
    for epoch in range(4):
        found = {part.full_name for part, _, _ in parts(stages) if strategy.treatment(part, epoch).trains}
        assert found == ({"top.0.weight", "top.1.weight"} if epoch >= 2 else set())


def test_norm_layers_by_pattern(stages):
    stem = {"pattern": "stem.*", "trains": False, "norm": "statistics"}
    strategy = Custom([stem, {"pattern": "*", "trains": True, "norm": "affine"}])
    strategy.prepare(stages)
    apply(FreezePlan(strategy, stages, 1), stages.train(), 0)
    assert (stages["stem"][1].training, stages["top"][1].training) == (True, False)
    assert (stages["stem"][1].weight.requires_grad, stages["top"][1].weight.requires_grad) == (False, True)


REST = {"pattern": "*", "trains": True}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([{"pattern": "layer9.*", "trains": True}, REST], "pattern layer9.* matches no parameter"),
        ([{"pattern": "stem.*", "trains": True}], "no pattern matches top.0.weight"),
        ([REST, {"pattern": "stem.*", "trains": False}], r"pattern stem.\* is never the first to match"),
        ([{"pattern": "*", "train": True}], "rule 1 has train; did you mean trains"),
        ([{"pattern": "*"}], "rule 1 needs a pattern and trains"),
        ([{"pattern": "*", "trains": "yes"}], "rule 1 needs a pattern and trains"),
        ([{"pattern": "*", "trains": True, "norm": "eval"}], "rule 1 has norm eval; there are frozen"),
        ([{"pattern": "*", "trains": True, "from_epoch": -1}], "rule 1 has from_epoch -1"),
    ],
)
def test_what_does_not_fit_is_told(stages, rules, message):
    with pytest.raises(GraftError, match=message) as caught:
        Custom(rules).prepare(stages)
    assert "\n" not in str(caught.value)
