"""What each strategy says of each parameter, counted against the stages."""

import pytest
from torch import nn

from graft.backbones import simple_cnn, torchvision_backbone
from graft.errors import GraftError
from graft.freezing import BiasOnly, FreezeUnfreeze, Full, Gradual, LastK, NormOnly
from graft.freezing.parts import parts


def trains(strategy, backbone, epoch=0):
    """How many parameters train."""
    found = parts(backbone.stages)
    return sum(p.numel() for part, _, p in found if strategy.treatment(part, epoch).trains)


@pytest.fixture(scope="module")
def resnet():
    return torchvision_backbone("resnet50")


def test_norm_only_and_bias_only_are_as_small_as_they_should_be(resnet):
    # ResNet-50 has 53 BatchNorm layers with 26,560 channels, and no bias but theirs and the head's.
    norms = [module for module in resnet.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 53
    assert trains(NormOnly(), resnet) == 53_120
    assert trains(BiasOnly(), resnet) == 26_560
    assert trains(BiasOnly(norm="frozen"), resnet) == 0


def test_a_strategy_that_trains_nothing_is_refused(resnet):
    NormOnly().prepare(resnet.stages)
    BiasOnly().prepare(resnet.stages)
    with pytest.raises(GraftError, match="no such biases"):
        BiasOnly(norm="frozen").prepare(resnet.stages)
    with pytest.raises(GraftError, match="no normalisation layers"):
        NormOnly().prepare(simple_cnn().stages)


def test_bias_only_finds_the_biases_of_attention():
    vit = torchvision_backbone("vit_b_16")
    biases = sum(p.numel() for name, p in vit.named_parameters() if name.endswith("bias"))
    assert trains(BiasOnly(), vit) == biases > 0
    assert trains(BiasOnly(norm="frozen"), vit) < biases


def test_gradual_adds_a_stage_from_the_top():
    backbone = simple_cnn()
    sizes = [sum(p.numel() for p in stage.parameters()) for stage in backbone.stages.values()]
    for epoch in range(12):
        stages = epoch // 2
        expected = sum(sizes[-stages:]) if stages else 0
        assert trains(Gradual(every=2), backbone, epoch) == expected


@pytest.mark.parametrize("k", [1, 2, 5, 99])
def test_last_k_counts_stages_not_leaf_modules(resnet, k):
    expected = sum(p.numel() for stage in list(resnet.stages.values())[-k:] for p in stage.parameters())
    assert trains(LastK(k), resnet) == expected > 0


def test_freeze_unfreeze_at_nothing_is_full():
    backbone = simple_cnn()
    assert trains(FreezeUnfreeze(at=0), backbone, 0) == trains(Full(), backbone, 0)
