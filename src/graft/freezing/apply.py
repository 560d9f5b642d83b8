"""Bringing a backbone into the state that a plan asks for, and the callback that does so in time."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from graft.freezing.parts import parts
from graft.freezing.plan import FreezePlan


def apply(plan: FreezePlan, stages: nn.ModuleDict, epoch: int) -> None:
    """Freeze and unfreeze, in place and idempotently, as the plan says for `epoch`.

    A stage in which nothing trains is put in evaluation mode whole, so that BatchNorm statistics stand
    still and dropout and drop-path are off; `requires_grad` alone would leave them moving. A stage
    without parameters follows the stage below it: it belongs to the frozen prefix only if all below does.
    In any stage a normalisation layer is in training mode if its statistics move, else in evaluation mode.
    """
    trains = dict.fromkeys(stages, False)
    owns = dict.fromkeys(stages, False)
    moves: dict[nn.Module, bool] = {}
    for part, module, parameter in parts(stages):
        decided = plan.treatment(part, epoch)
        parameter.requires_grad_(decided.trains)
        if not decided.trains:
            # A gradient left over from before would still move it: AdamW decays, SGD has momentum.
            parameter.grad = None
        trains[part.stage_name] |= decided.trains
        owns[part.stage_name] = True
        if part.kind == "norm":
            moves[module] = moves.get(module, True) and decided.moves_statistics
    below = False
    for name, stage in stages.items():
        below = trains[name] if owns[name] else below
        stage.train(below)
    for module, moving in moves.items():
        module.train(moving)


class FreezeCallback(pl.Callback):
    """Applies a plan when training starts and at each epoch's start.

    Both, because Lightning skips the epoch's start when it resumes in mid-epoch, and because something
    may have called `.train()` on the whole model in between.

    It tells the plan the validation loss after each epoch that was validated, and saves the plan's state
    with the checkpoint, so that treatments stay a function of epoch and state.
    """

    def __init__(self, plan: FreezePlan) -> None:
        self.plan = plan
        self._validated = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Let gradients be synchronised for all that ever trains.

        DistributedDataParallel looks once, when it wraps the model: what is frozen then is never
        synchronised, and once unfrozen drifts apart on the processes.
        """
        if stage != "fit":
            return
        for part, _, parameter in parts(_stages(pl_module)):
            parameter.requires_grad_(self.plan.may_train(part))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        self._apply(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        self._validated = False
        self._apply(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        self._validated = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        loss = trainer.callback_metrics.get("val/loss")
        if self.plan.observes and self._validated and loss is not None:
            self.plan.observe(trainer.current_epoch, float(loss))

    def state_dict(self) -> dict[str, object]:  # noqa: D102
        return self.plan.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:  # noqa: D102
        self.plan.load_state_dict(state_dict)

    def _apply(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        apply(self.plan, _stages(pl_module), trainer.current_epoch)
        # A schedule computes the rates of an epoch's first step at the end of the epoch before, when a
        # switch that validation decides is not yet known.
        for configured in trainer.lr_scheduler_configs:
            if isinstance(scheduler := configured.scheduler, LambdaLR):
                rules = zip(
                    scheduler.optimizer.param_groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True
                )
                for group, rate, factor in rules:
                    group["lr"] = rate * factor(scheduler.last_epoch)


def _stages(module: nn.Module) -> nn.ModuleDict:
    stages = module.get_submodule("backbone.stages")
    assert isinstance(stages, nn.ModuleDict)
    return stages
