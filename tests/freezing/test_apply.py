"""What is frozen stands still whole, BatchNorm and dropout too; what trains is what the strategy says."""

import pytest
import torch
from torch import nn

from graft.freezing import Frozen, Full, LastK
from graft.freezing.apply import apply, freeze_table, parts


def stages() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict(
        {
            "stem": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)),
            "pool": nn.MaxPool2d(2),
            "body": nn.Sequential(nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5)),
            "top": nn.Sequential(nn.Flatten(), nn.Linear(5 * 4 * 4, 6), nn.Dropout(0.5)),
        }
    )


def run(blocks: nn.ModuleDict, images: torch.Tensor) -> torch.Tensor:
    for block in blocks.values():
        images = block(images)
    return images


def train_a_little(blocks: nn.ModuleDict, strategy: object, steps: int = 5) -> None:
    head = nn.Linear(6, 2)
    optimizer = torch.optim.AdamW([*blocks.parameters(), *head.parameters()], lr=0.1, weight_decay=0.1)
    for _ in range(steps):
        blocks.train()
        apply(strategy, blocks, epoch=0)  # type: ignore[arg-type]
        optimizer.zero_grad()
        nn.functional.cross_entropy(
            head(run(blocks, torch.randn(8, 3, 14, 14))), torch.arange(8) % 2
        ).backward()
        optimizer.step()
    frozen = {parameter for _, parameter in parts(blocks) if not parameter.requires_grad}
    assert not frozen & set(optimizer.state)


@pytest.mark.parametrize(
    ("strategy", "still", "moving"),
    [
        (Full(), [], ["stem", "body", "top"]),
        (Frozen(), ["stem", "body", "top"], []),
        (LastK(1), ["stem", "body"], ["top"]),
        (LastK(2), ["stem"], ["body", "top"]),
        (LastK(99), [], ["stem", "body", "top"]),
    ],
)
def test_frozen_stages_are_bit_identical_after_training(
    strategy: object, still: list[str], moving: list[str]
) -> None:
    blocks = stages()
    before = {name: {k: v.clone() for k, v in block.state_dict().items()} for name, block in blocks.items()}
    train_a_little(blocks, strategy)
    for name in still:
        after = blocks[name].state_dict()
        assert all(torch.equal(after[key], value) for key, value in before[name].items()), name
    for name in moving:
        after = blocks[name].state_dict()
        assert not any(torch.equal(after[key], value) for key, value in before[name].items()), name


def test_a_frozen_backbone_answers_in_training_as_in_evaluation() -> None:
    blocks = stages()
    train_a_little(blocks, Full())
    images = torch.randn(4, 3, 14, 14)
    blocks.train()
    apply(Frozen(), blocks, epoch=0)
    training = run(blocks, images)
    blocks.eval()
    assert torch.equal(training, run(blocks, images))


def test_stages_without_parameters_follow_those_below() -> None:
    blocks = stages().train()
    apply(LastK(1), blocks, epoch=0)
    assert [block.training for block in blocks.values()] == [False, False, False, True]
    apply(Full(), blocks, epoch=0)
    assert all(block.training for block in blocks.values())
    assert all(parameter.requires_grad for parameter in blocks.parameters())


def test_kinds_are_told_by_module_not_by_name() -> None:
    kinds = {f"{part.stage_name}.{part.name}": part.kind for part, _ in parts(stages())}
    assert kinds["stem.1.weight"] == kinds["stem.1.bias"] == "norm"
    assert (kinds["stem.0.weight"], kinds["stem.0.bias"]) == ("weight", "bias")


def test_the_table_counts_what_trains() -> None:
    blocks = stages()
    rows = {row["stage"]: row for row in freeze_table(LastK(1), blocks)}
    top = sum(parameter.numel() for parameter in blocks["top"].parameters())
    assert rows["top"] == {"stage": "top", "parameters": top, "trainable": top}
    assert rows["stem"]["trainable"] == 0
    assert rows["stem"]["parameters"] == sum(parameter.numel() for parameter in blocks["stem"].parameters())
