"""Adapters change nothing at first, train alone, and leave a plain model when merged."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from graft.backbones import torchvision_backbone
from graft.errors import GraftError
from graft.freezing import FreezePlan, Lora
from graft.freezing.apply import apply
from graft.freezing.lora import LowRank, merge
from graft.freezing.parts import parts
from graft.optim import parameter_groups


class Attends(nn.Module):
    """Self-attention over an image's pixels."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, images):
        tokens = images.flatten(2).transpose(1, 2)
        return self.attention(tokens, tokens, tokens)[0].mean(1)


@pytest.fixture
def stages():
    torch.manual_seed(0)
    return nn.ModuleDict(
        {
            "stem": nn.Sequential(nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16)),
            "grouped": nn.Conv2d(16, 16, 3, groups=2, dilation=2),
            "depthwise": nn.Conv2d(16, 16, 3, groups=16),
            "top": Attends(),
            "dense": nn.Linear(16, 16),
        }
    )


def run(stages, images):
    for stage in stages.values():
        images = stage(images)
    return images


IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def trained(stages, strategy):
    apply(FreezePlan(strategy, stages, 1), stages.train(), 0)
    trains = [p for p in stages.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trains, lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        run(stages, IMAGES).square().sum().backward()
        optimizer.step()
    return stages.eval()


def test_nothing_changes_at_first(stages):
    expected = run(stages.eval(), IMAGES)
    Lora(r=2).prepare(stages)
    assert torch.equal(run(stages.eval(), IMAGES), expected)


def test_adapters_train_alone_and_merge_to_the_same_outputs(stages):
    before = copy.deepcopy(stages.state_dict())
    strategy = Lora(r=2, alpha=4.0)
    strategy.prepare(stages)
    trained(stages, strategy)
    with torch.no_grad():
        moved = run(stages, IMAGES)
    for module in stages.modules():
        if parametrize.is_parametrized(module):
            for name, entry in module.parametrizations.items():
                where = next(key for key, value in stages.named_modules() if value is module)
                assert torch.equal(entry.original, before[f"{where}.{name}"])
    merge(stages)
    with torch.no_grad():
        assert torch.equal(run(stages, IMAGES), moved)
    assert set(stages.state_dict()) == set(before)
    changed = {key for key, value in stages.state_dict().items() if not torch.equal(value, before[key])}
    # The stem's BatchNorm stands still.
    assert changed == {
        *("stem.0.weight", "grouped.weight", "depthwise.weight", "dense.weight"),
        *("top.attention.in_proj_weight", "top.attention.out_proj.weight"),
    }
    assert not any(isinstance(module, LowRank) for module in stages.modules())


def test_adapters_are_not_decayed(stages):
    Lora(r=2).prepare(stages)
    head = nn.Linear(16, 2)
    groups = parameter_groups(stages, head, lr=0.1, head_lr=None, weight_decay=0.5)
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    adapters = [p for part, _, p in parts(stages) if part.kind == "lora"]
    assert len(adapters) == 12
    assert not decayed & {id(p) for p in adapters}
    assert len({id(p) for group in groups for p in group["params"]}) == len(
        [*stages.parameters(), *head.parameters()]
    )


def test_every_layer_of_a_network_with_grouped_convolutions_works():
    torch.manual_seed(0)
    backbone = torchvision_backbone("regnet_y_400mf").eval()
    images = torch.randn(2, 3, 64, 64)
    expected = backbone(images)
    Lora(r=1).prepare(backbone.stages)
    assert torch.equal(backbone(images), expected)
    with torch.no_grad():
        for part, _, parameter in parts(backbone.stages):
            if part.kind == "lora" and part.name.endswith(".b"):
                parameter.normal_(std=0.01)
    moved = backbone(images)
    assert not torch.allclose(moved, expected)
    merge(backbone)
    assert torch.equal(backbone(images), moved)


def test_a_rank_that_saves_nothing_is_refused(stages):
    with pytest.raises(GraftError, match=r"freeze\.r=99 is too large"):
        Lora(r=99).prepare(stages)


def test_layers_that_would_save_nothing_get_none(stages):
    Lora(r=6).prepare(stages)
    # 6 · (16 + 9) numbers instead of 144.
    assert not parametrize.is_parametrized(stages["depthwise"])
    assert parametrize.is_parametrized(stages["stem"][0])


@pytest.mark.parametrize("norm", [None, "affine", "train"])
def test_norm_layers_beside_adapters(stages, norm):
    strategy = Lora(r=2, norm=norm)
    strategy.prepare(stages)
    apply(FreezePlan(strategy, stages, 1), stages.train(), 0)
    layer = stages["stem"][1]
    assert (layer.weight.requires_grad, layer.training) == (norm is not None, norm == "train")
