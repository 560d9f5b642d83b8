"""What is frozen stands still whole, BatchNorm and dropout too; what trains is what the strategy says."""

import pytest
import torch
from torch import nn

from graft.freezing import FreezePlan, FreezeUnfreeze, Frozen, Full, Gradual, LastK, LpFt, Treatment
from graft.freezing.apply import FreezeCallback, apply
from graft.freezing.parts import parts


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


def freeze(blocks: nn.ModuleDict, strategy: object, epoch: int = 0) -> None:
    apply(FreezePlan(strategy, blocks, 10), blocks, epoch)


def run(blocks: nn.ModuleDict, images: torch.Tensor) -> torch.Tensor:
    for block in blocks.values():
        images = block(images)
    return images


def train_a_little(blocks: nn.ModuleDict, strategy: object, steps: int = 5) -> None:
    head = nn.Linear(6, 2)
    optimizer = torch.optim.AdamW([*blocks.parameters(), *head.parameters()], lr=0.1, weight_decay=0.1)
    for _ in range(steps):
        blocks.train()
        freeze(blocks, strategy)
        optimizer.zero_grad()
        nn.functional.cross_entropy(
            head(run(blocks, torch.randn(8, 3, 14, 14))), torch.arange(8) % 2
        ).backward()
        optimizer.step()
    frozen = {parameter for _, _, parameter in parts(blocks) if not parameter.requires_grad}
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
    freeze(blocks, Frozen())
    training = run(blocks, images)
    blocks.eval()
    assert torch.equal(training, run(blocks, images))


def test_stages_without_parameters_follow_those_below() -> None:
    blocks = stages().train()
    freeze(blocks, LastK(1))
    assert [block.training for block in blocks.values()] == [False, False, False, True]
    freeze(blocks, Full())
    assert all(block.training for block in blocks.values())
    assert all(parameter.requires_grad for parameter in blocks.parameters())


def test_kinds_are_told_by_module_not_by_name() -> None:
    kinds = {f"{part.stage_name}.{part.name}": part.kind for part, _, _ in parts(stages())}
    assert kinds["stem.1.weight"] == kinds["stem.1.bias"] == "norm"
    assert (kinds["stem.0.weight"], kinds["stem.0.bias"]) == ("weight", "bias")


NORM_MODES = {
    # mode: whether the affine parameters move, whether the statistics do
    None: (True, True),
    "train": (True, True),
    "affine": (True, False),
    "statistics": (False, True),
    "frozen": (False, False),
}


@pytest.mark.parametrize(("norm", "moves"), NORM_MODES.items(), ids=str)
@pytest.mark.parametrize("frozen_below", [False, True])
def test_norm_is_an_axis_of_its_own(norm: str | None, moves: tuple[bool, bool], frozen_below: bool) -> None:
    blocks = stages()
    before = {key: value.clone() for key, value in blocks.state_dict().items()}
    strategy = LastK(2, norm=norm) if frozen_below else Full(norm=norm)
    train_a_little(blocks, strategy)
    moved = {key for key, value in blocks.state_dict().items() if not torch.equal(value, before[key])}
    for name in ("stem", "body"):
        affine, statistics = (False, False) if frozen_below and name == "stem" else moves
        assert {f"{name}.1.weight" in moved, f"{name}.1.bias" in moved} == {affine}
        assert {f"{name}.1.running_mean" in moved, f"{name}.1.running_var" in moved} == {statistics}
    assert ("stem.0.weight" in moved) == (not frozen_below)
    assert "body.0.weight" in moved


@pytest.mark.parametrize(("norm", "moves"), NORM_MODES.items(), ids=str)
def test_norm_layers_of_a_frozen_backbone_do_what_is_said(norm: str | None, moves: tuple[bool, bool]) -> None:
    blocks = stages()
    before = {key: value.clone() for key, value in blocks.state_dict().items()}
    train_a_little(blocks, Frozen(norm=norm))
    moved = {key for key, value in blocks.state_dict().items() if not torch.equal(value, before[key])}
    affine, statistics = moves if norm else (False, False)
    own = {"weight", "bias"} if affine else set()
    own |= {"running_mean", "running_var", "num_batches_tracked"} if statistics else set()
    assert moved == {f"{stage}.1.{key}" for stage in ("stem", "body") for key in own}


def test_statistics_that_move_do_not_wake_dropout() -> None:
    blocks = stages().train()
    freeze(blocks, Frozen(norm="statistics"))
    assert (blocks["stem"][1].training, blocks["stem"][2].training) == (True, False)


class Alternating:
    """Trains in even epochs alone."""

    def treatment(self, part: object, epoch: int) -> Treatment:
        return Treatment(epoch % 2 == 0)


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_what_is_frozen_again_stands_still(kind: type[torch.optim.Optimizer]) -> None:
    blocks = stages()
    settings = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    optimizer = kind(blocks.parameters(), lr=0.1, weight_decay=0.1, **settings)  # type: ignore[call-arg]
    for epoch in range(2):
        before = [parameter.detach().clone() for parameter in blocks.parameters()]
        freeze(blocks, Alternating(), epoch)
        if epoch == 0:
            # Its gradients are left there on purpose.
            run(blocks, torch.randn(8, 3, 14, 14)).square().sum().backward()
        optimizer.step()
        same = [torch.equal(one, two) for one, two in zip(before, blocks.parameters(), strict=True)]
        assert any(same) == all(same) == (epoch == 1)


@pytest.mark.parametrize("at", [0, 1, 4, 99])
def test_what_comes_late_is_there_whenever_one_looks(at: int) -> None:
    for epoch in range(6):
        blocks = stages()
        freeze(blocks, FreezeUnfreeze(at), epoch)
        assert {p.requires_grad for p in blocks.parameters()} == {epoch >= at}


def test_what_ever_trains_has_gradients_when_ddp_looks() -> None:
    # It looks once, before the first epoch; what is frozen then would never be synchronised.
    blocks = stages()
    module = nn.ModuleDict({"backbone": nn.ModuleDict({"stages": blocks})})
    FreezeCallback(FreezePlan(Gradual(2), blocks, 5)).setup(None, module, "fit")
    trains = {name: any(p.requires_grad for p in block.parameters()) for name, block in blocks.items()}
    assert trains == {"stem": False, "pool": False, "body": True, "top": True}


def test_the_callback_tells_the_plan_of_validated_epochs_and_saves_it() -> None:
    first, second = (FreezeCallback(FreezePlan(LpFt(epochs=99, patience=1), stages(), 9)) for _ in range(2))
    for epoch, validated in enumerate([True, False, True]):
        trainer = type("Trainer", (), {"callback_metrics": {"val/loss": 1.0}, "current_epoch": epoch})()
        first._validated = validated
        first.on_train_epoch_end(trainer, None)
        assert first.plan.phases == ((0,) if epoch < 2 else (0, 3))
    second.load_state_dict(first.state_dict())
    assert second.plan.phases == (0, 3)
    assert FreezeCallback(FreezePlan(Full(), stages(), 9)).state_dict() == {}
