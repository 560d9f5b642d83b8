"""Every parameter stands in one group, with the rate and decay that its place asks for."""

import torch
from torch import nn

from graft.optim import parameter_groups, weight_penalty


def parts() -> tuple[nn.Module, nn.Module]:
    backbone = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, bias=False), nn.GroupNorm(2, 4)
    )
    return backbone, nn.Linear(4, 2)


def test_every_parameter_is_in_exactly_one_group_by_identity() -> None:
    backbone, head = parts()
    for module in (backbone, head):
        for parameter in module.parameters():
            # Equal values must not make one parameter pass for another.
            nn.init.zeros_(parameter)
    groups = parameter_groups(backbone, head, lr=0.1, head_lr=1.0, weight_decay=0.5)
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(p) for module in (backbone, head) for p in module.parameters())


def test_rates_and_decay() -> None:
    backbone, head = parts()
    groups = {g["name"]: g for g in parameter_groups(backbone, head, lr=0.1, head_lr=1.0, weight_decay=0.5)}
    assert {name: (g["lr"], g["weight_decay"]) for name, g in groups.items()} == {
        "backbone": (0.1, 0.5),
        "backbone_no_decay": (0.1, 0.0),
        "head": (1.0, 0.5),
        "head_no_decay": (1.0, 0.0),
    }
    assert [p.shape for p in groups["backbone"]["params"]] == [(4, 3, 3, 3), (4, 4, 3, 3)]
    assert all(p.ndim == 1 for p in groups["backbone_no_decay"]["params"])


def test_without_a_rate_of_its_own_the_head_takes_the_backbones() -> None:
    groups = parameter_groups(*parts(), lr=0.1, head_lr=None, weight_decay=0.0)
    assert {group["lr"] for group in groups} == {0.1}


def test_a_sources_head_learns_at_the_backbones_rate() -> None:
    backbone, head = parts()
    source = nn.Linear(4, 9)
    rates = {"lr": 0.1, "head_lr": 1.0, "weight_decay": 0.5}
    with_it = parameter_groups(backbone, head, **rates, source_head=source)
    without = parameter_groups(backbone, head, **rates)
    assert [group["name"] for group in with_it[:-2]] == [group["name"] for group in without]
    last = [{**group, "params": [id(p) for p in group["params"]]} for group in with_it[-2:]]
    assert last == [
        {"name": "source_head", "params": [id(source.weight)], "lr": 0.1, "weight_decay": 0.5},
        {"name": "source_head_no_decay", "params": [id(source.bias)], "lr": 0.1, "weight_decay": 0.0},
    ]


def test_the_penalty_is_what_sgds_weight_decay_descends_on() -> None:
    backbone, head = parts()
    head.bias.requires_grad_(False)
    backbone[0].requires_grad_(False)
    groups = parameter_groups(backbone, head, lr=0.1, head_lr=None, weight_decay=0.3)
    weights = [backbone[2].weight, head.weight]
    expected = sum(0.5 * 0.3 * weight.square().sum() for weight in weights)
    assert abs(weight_penalty(groups) - float(expected.detach())) < 1e-6
    gradients = torch.autograd.grad(expected, weights)
    before = [weight.detach().clone() for weight in weights]
    optimizer = torch.optim.SGD(groups)
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    for weight, old, gradient in zip(weights, before, gradients, strict=True):
        torch.testing.assert_close(weight.detach(), old - 0.1 * gradient)


def test_blocks_within_a_stage_have_rates_of_their_own() -> None:
    """As in timm: the last block is a step below the head, what follows it is not."""
    backbone = nn.Module()
    backbone.blocks = (nn.Bilinear,)  # type: ignore[assignment]
    blocks = [nn.Bilinear(2, 2, 2) for _ in range(3)]
    stages = {"stem": nn.Linear(2, 2), "a": nn.Sequential(*blocks[:2])}
    stages["b"] = nn.Sequential(nn.LayerNorm(2), blocks[2], nn.LayerNorm(2))
    backbone.stages = nn.ModuleDict(stages)
    head = nn.Linear(2, 2)
    groups = parameter_groups(backbone, head, lr=1.6, head_lr=None, weight_decay=0.1, layer_decay=0.5)
    expected = {"backbone.stem": 0.1, "backbone.a.1": 0.2, "backbone.a.2": 0.4, "backbone.b.1": 0.8}
    expected |= {"backbone.b.2": 1.6, "head": 1.6}
    # Of the last norm nothing decays.
    assert {group["name"].removesuffix("_no_decay"): group["lr"] for group in groups} == expected
    assert len({group["name"] for group in groups}) == len(groups) == 2 * len(expected) - 1
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(p) for module in (backbone, head) for p in module.parameters())


def test_each_stage_learns_slower_than_the_one_above_it() -> None:
    backbone = nn.Module()
    backbone.stages = nn.ModuleDict({name: nn.Conv2d(3, 3, 1) for name in ("a", "b", "c")})
    head = nn.Linear(3, 2)
    groups = parameter_groups(backbone, head, lr=0.8, head_lr="10x", weight_decay=0.1, layer_decay=0.5)
    assert {g["name"]: g["lr"] for g in groups if not g["name"].endswith("no_decay")} == {
        "backbone.a": 0.2,
        "backbone.b": 0.4,
        "backbone.c": 0.8,
        "head": 8.0,
    }
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(p) for module in (backbone, head) for p in module.parameters())


def test_no_decay_for_the_biases_of_attention() -> None:
    groups = parameter_groups(
        nn.MultiheadAttention(4, 2), nn.Linear(4, 2), lr=0.1, head_lr=None, weight_decay=0.1
    )
    assert {p.ndim for group in groups if group["weight_decay"] for p in group["params"]} == {2}
