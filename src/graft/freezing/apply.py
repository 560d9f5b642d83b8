"""Bringing a backbone into the state that a strategy asks for, and the callback that does so in time."""

from typing import Any

import pytorch_lightning as pl
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from graft.freezing.parts import Part, parts
from graft.freezing.strategies import FreezeStrategy, Treatment


def apply(strategy: FreezeStrategy, stages: nn.ModuleDict, epoch: int) -> None:
    """Freeze and unfreeze, in place and idempotently, as the strategy says for `epoch`.

    A stage in which nothing trains is put in evaluation mode whole, so that BatchNorm statistics stand
    still and dropout and drop-path are off; `requires_grad` alone would leave them moving. A stage
    without parameters follows the stage below it: it belongs to the frozen prefix only if all below does.
    In any stage a normalisation layer is in training mode if its statistics move, else in evaluation mode.
    """
    trains = dict.fromkeys(stages, False)
    owns = dict.fromkeys(stages, False)
    moves: dict[nn.Module, bool] = {}
    for part, module, parameter in parts(stages):
        decided = strategy.treatment(part, epoch)
        parameter.requires_grad_(decided.trains)
        if not decided.trains:
            # A gradient left over from before would still move it: AdamW decays, SGD has momentum.
            parameter.grad = None
        trains[part.stage_name] |= decided.trains
        owns[part.stage_name] = True
        if part.kind == "norm":
            moves[module] = moves.get(module, True) and statistics_move(decided)
    below = False
    for name, stage in stages.items():
        below = trains[name] if owns[name] else below
        stage.train(below)
    for module, moving in moves.items():
        module.train(moving)


def statistics_move(treatment: Treatment) -> bool:
    """Whether running statistics move under this treatment of one of the layer's parameters."""
    return treatment.trains if treatment.statistics is None else treatment.statistics


def phases(strategy: FreezeStrategy, stages: nn.ModuleDict, epochs: int) -> list[int]:
    """The epochs, 0 first, in which something is treated otherwise than in the epoch before."""
    listed = [part for part, _, _ in parts(stages)]
    starts: list[int] = []
    before: list[Treatment] | None = None
    for epoch in range(max(1, epochs)):
        now = [strategy.treatment(part, epoch) for part in listed]
        if now != before:
            starts.append(epoch)
        before = now
    return starts


def changes(strategy: FreezeStrategy, stages: nn.ModuleDict, epochs: int) -> bool:
    """Whether what trains may change in the course of so many epochs."""
    return hasattr(strategy, "observe") or len(phases(strategy, stages, epochs)) > 1


def first_epoch(strategy: FreezeStrategy, part: Part, starts: list[int]) -> int | None:
    """The first epoch in which `part` trains, or None; `starts` are the strategy's phases."""
    return next((epoch for epoch in starts if strategy.treatment(part, epoch).trains), None)


class FreezeCallback(pl.Callback):
    """Applies a strategy when training starts and at each epoch's start.

    Both, because Lightning skips the epoch's start when it resumes in mid-epoch, and because something
    may have called `.train()` on the whole model in between.

    A strategy that also depends on how training goes has `observe(epoch, loss)`, called after each epoch
    that was validated, `state_dict` and `load_state_dict`: what it has seen is saved with the checkpoint,
    so that its treatments stay a function of epoch and state.
    """

    def __init__(self, strategy: FreezeStrategy) -> None:
        self.strategy: Any = strategy
        self._validated = False

    def setup(self, trainer: pl.Trainer, pl_module: Any, stage: str) -> None:
        """Let gradients be synchronised for all that ever trains.

        DistributedDataParallel looks once, when it wraps the model: what is frozen then is never
        synchronised, and once unfrozen drifts apart on the processes.
        """
        if stage != "fit":
            return
        stages = pl_module.backbone.stages
        starts = self._phases(trainer, pl_module)
        for part, _, parameter in parts(stages):
            # When a strategy that observes will change is not yet known.
            ever = hasattr(self.strategy, "observe") or first_epoch(self.strategy, part, starts) is not None
            parameter.requires_grad_(ever)

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:  # noqa: D102
        # Again: a resumed strategy has its state by now.
        self._phases(trainer, pl_module)
        self._apply(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:  # noqa: D102
        self._validated = False
        self._apply(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:  # noqa: D102
        self._validated = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:  # noqa: D102
        loss = trainer.callback_metrics.get("val/loss")
        if hasattr(self.strategy, "observe") and self._validated and loss is not None:
            self.strategy.observe(trainer.current_epoch, float(loss))
            self._phases(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return dict(self.strategy.state_dict()) if hasattr(self.strategy, "state_dict") else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:  # noqa: D102
        if hasattr(self.strategy, "load_state_dict"):
            self.strategy.load_state_dict(state_dict)

    def _phases(self, trainer: pl.Trainer, pl_module: Any) -> list[int]:
        """Bring the module's phases up to date."""
        pl_module.phases = phases(self.strategy, pl_module.backbone.stages, trainer.max_epochs or 1)
        return list(pl_module.phases)

    def _apply(self, trainer: pl.Trainer, pl_module: Any) -> None:
        apply(self.strategy, pl_module.backbone.stages, trainer.current_epoch)
        # A schedule computes the rates of an epoch's first step at the end of the epoch before, when a
        # switch that validation decides is not yet known.
        for configured in trainer.lr_scheduler_configs:
            if isinstance(scheduler := configured.scheduler, LambdaLR):
                rules = zip(
                    scheduler.optimizer.param_groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True
                )
                for group, rate, factor in rules:
                    group["lr"] = rate * factor(scheduler.last_epoch)
