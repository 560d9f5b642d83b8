"""Learning-rate schedules. Each multiplies every group's own rate, so ratios between groups stay."""

import math
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau, StepLR


@dataclass(frozen=True)
class Span:
    """How long a run trains, in optimizer steps."""

    steps: int
    steps_per_epoch: int


def constant(optimizer: Optimizer, span: Span) -> None:
    """The rates stay as they are."""


def cosine(
    optimizer: Optimizer, span: Span, warmup_epochs: float = 0.0, final: float = 0.0
) -> dict[str, Any]:
    """Linear warm-up, then half a cosine down to `final` times the rate at the last step, step by step.

    See Loshchilov and Hutter 2017, https://arxiv.org/abs/1608.03983 (without restarts).
    """
    warmup = round(warmup_epochs * span.steps_per_epoch)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = min(1.0, (step - warmup) / max(1, span.steps - warmup))
        return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * progress))

    return {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}


def step(optimizer: Optimizer, span: Span, step_size: int = 7, gamma: float = 0.1) -> dict[str, Any]:
    """The rates are multiplied by `gamma` every `step_size` epochs."""
    return {"scheduler": StepLR(optimizer, step_size, gamma), "interval": "epoch"}


def plateau(optimizer: Optimizer, span: Span, factor: float = 0.1, patience: int = 3) -> dict[str, Any]:
    """The rates are multiplied by `factor` when `val/loss` has not fallen for `patience` epochs."""
    scheduler = ReduceLROnPlateau(optimizer, factor=factor, patience=patience)
    return {"scheduler": scheduler, "interval": "epoch", "monitor": "val/loss"}
