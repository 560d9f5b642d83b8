"""Bringing a backbone into the state that a strategy asks for, and the callback that does so in time."""

from typing import Any

import pytorch_lightning as pl
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from graft.freezing.strategies import FreezeStrategy, Part

NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm, nn.RMSNorm)


def parts(stages: nn.ModuleDict) -> list[tuple[Part, nn.Parameter]]:
    """Every parameter of the ordered stages with what a strategy may know about it."""
    found = []
    for index, (stage_name, stage) in enumerate(stages.items()):
        for module_name, module in stage.named_modules():
            for own_name, parameter in module.named_parameters(recurse=False):
                kind = "norm" if isinstance(module, NORMS) else "bias" if own_name == "bias" else "weight"
                name = f"{module_name}.{own_name}" if module_name else own_name
                found.append((Part(index, len(stages), stage_name, name, kind), parameter))
    return found


def apply(strategy: FreezeStrategy, stages: nn.ModuleDict, epoch: int) -> None:
    """Freeze and unfreeze, in place and idempotently, as the strategy says for `epoch`.

    A stage in which nothing trains is put in evaluation mode whole, so that BatchNorm statistics stand
    still and dropout and drop-path are off; `requires_grad` alone would leave them moving. A stage
    without parameters follows the stage below it: it belongs to the frozen prefix only if all below does.
    """
    trains = dict.fromkeys(stages, False)
    owns = dict.fromkeys(stages, False)
    for part, parameter in parts(stages):
        decided = strategy.treatment(part, epoch).trains
        parameter.requires_grad_(decided)
        trains[part.stage_name] |= decided
        owns[part.stage_name] = True
    below = False
    for name, stage in stages.items():
        below = trains[name] if owns[name] else below
        stage.train(below)


def freeze_table(strategy: FreezeStrategy, stages: nn.ModuleDict, epoch: int = 0) -> list[dict[str, Any]]:
    """One row a stage: its parameters, and how many of them train in `epoch`."""
    rows: dict[str, dict[str, Any]] = {
        name: {"stage": name, "parameters": 0, "trainable": 0} for name in stages
    }
    for part, parameter in parts(stages):
        row = rows[part.stage_name]
        row["parameters"] += parameter.numel()
        row["trainable"] += parameter.numel() * strategy.treatment(part, epoch).trains
    return list(rows.values())


class FreezeCallback(pl.Callback):
    """Applies a strategy when training starts and at each epoch's start.

    Both, because Lightning skips the epoch's start when it resumes in mid-epoch, and because something
    may have called `.train()` on the whole model in between.
    """

    def __init__(self, strategy: FreezeStrategy) -> None:
        self.strategy = strategy

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:  # noqa: D102
        apply(self.strategy, pl_module.backbone.stages, trainer.current_epoch)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:  # noqa: D102
        apply(self.strategy, pl_module.backbone.stages, trainer.current_epoch)
