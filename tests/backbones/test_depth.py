"""Levels of depth are timm's: the stem, each block, and on top the head with what follows the last block."""

import pytest
import torch
from torch import nn
from torchvision import models

from graft.backbones import simple_cnn, supported_names, torchvision_backbone
from graft.backbones.depth import depths
from graft.backbones.torchvision_stages import FAMILIES

# The head's level, of timm 1.0.31's `param_groups_layer_decay` for its model of the same name.
TOPS = {
    "resnet18": 9,
    "resnet50": 17,
    "convnext_tiny": 19,
    "swin_t": 13,
    "swin_v2_t": 13,
    "vit_b_16": 13,
    "densenet121": 59,
    "efficientnet_b0": 17,
    "efficientnet_v2_s": 41,
    "mobilenet_v2": 18,
    "mobilenet_v3_small": 13,
    "mobilenet_v3_large": 17,
    "vgg16": 13,
    "maxvit_t": 5,
}
# What follows the last block, by the first words of its names.
ON_TOP = {
    "convnext_tiny": ["stages.stage4.6."],
    "swin_t": ["stages.stage4.3."],
    "vit_b_16": ["stages.norm."],
    "densenet121": ["stages.block4.1."],
    "efficientnet_b0": ["stages.conv."],
    "mobilenet_v3_small": ["stages.dense."],
    "vgg16": ["stages.dense."],
    "resnet50": [],
}


def levels(name):
    # RegNet computes its widths with tensors, which have no values there.
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        backbone = torchvision_backbone(name)
    found, top = depths(backbone.stages, backbone.blocks)
    return {key: found[id(p)] for key, p in backbone.named_parameters()}, top


@pytest.mark.parametrize("name", TOPS)
def test_the_stem_is_as_far_below_the_head_as_in_timm(name):
    found, top = levels(name)
    assert top == TOPS[name]
    assert min(found.values()) == 0
    # No level between is empty.
    assert set(range(top)) <= set(found.values())
    stages = list(dict.fromkeys(key.split(".")[1] for key in found))
    lowest = [min(level for key, level in found.items() if key.split(".")[1] == stage) for stage in stages]
    assert lowest == sorted(lowest)


def test_the_scales_of_the_issue():
    for name, scale in {"swin_t": 0.0238, "convnext_tiny": 0.00423, "resnet50": 0.0075169}.items():
        found, top = levels(name)
        assert 0.75 ** (top - min(found.values())) == pytest.approx(scale, rel=2e-3)


@pytest.mark.parametrize("name", ON_TOP)
def test_what_follows_the_last_block_learns_as_the_head_does(name):
    found, top = levels(name)
    above = {key for key, level in found.items() if level == top}
    assert bool(above) == bool(ON_TOP[name])
    assert all(any(key.startswith(start) for start in ON_TOP[name]) for key in above)


def test_between_two_blocks_timms_neighbour_counts():
    """A downsampling goes with the block behind it, a transition with the layer before."""
    found, _ = levels("convnext_tiny")
    assert found["stages.stage2.0.weight"] == found["stages.stage2.2.block.0.weight"] == 4
    found, _ = levels("swin_t")
    assert {found[f"stages.stage2.{key}.weight"] for key in ("0.reduction", "0.norm", "1.norm1")} == {3}
    found, _ = levels("densenet121")
    last = found["stages.block1.0.denselayer6.conv2.weight"]
    assert found["stages.block1.1.conv.weight"] == last == 6


def test_without_blocks_a_stage_is_a_level_and_the_last_is_the_heads():
    backbone = simple_cnn()
    found, top = depths(backbone.stages, backbone.blocks)
    by_stage = {key.split(".")[1]: found[id(p)] for key, p in backbone.named_parameters()}
    assert by_stage == {"conv1": 0, "conv2": 1, "dense1": 2, "dense2": 3}
    assert top == 3
    # One without parameters is counted too, as it always was.
    stages = {"stem": nn.Linear(2, 2), "pool": nn.ReLU(), "top": nn.Linear(2, 2)}
    found, top = depths(stages)
    assert (sorted(found.values()), top) == ([0, 0, 2, 2], 2)


def test_every_family_has_its_blocks_and_every_parameter_a_level():
    seen = set()
    for name in supported_names():
        family = models.get_model_builder(name).__module__.rpartition(".")[2]
        if family in seen:
            continue
        seen.add(family)
        found, top = levels(name)
        assert max(found.values()) <= top
        # timm has no such family, so a stage is a level; or its stages are its levels.
        assert (top > 5) != (family in ("alexnet", "maxvit", "shufflenetv2", "squeezenet"))
    assert seen == set(FAMILIES)
