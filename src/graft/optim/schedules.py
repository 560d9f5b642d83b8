"""Learning-rate schedules. Each multiplies every group's own rate, so ratios between groups stay."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytorch_lightning.utilities.types import LRSchedulerConfigType
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from graft.errors import GraftError


@dataclass(frozen=True)
class Span:
    """How long a run trains, and what the freeze strategy does to the rates meanwhile.

    Attributes:
        steps: of the optimizer, in the whole run.
        steps_per_epoch: of the optimizer.
        phases: gives the epochs, 0 first, in which the strategy changes what trains.
        head_rate: gives what the strategy multiplies the head's rate by in an epoch.
    """

    steps: int
    steps_per_epoch: int
    phases: Callable[[], Sequence[int]] = lambda: (0,)
    head_rate: Callable[[int], float] = lambda epoch: 1.0


def constant(optimizer: Optimizer, span: Span) -> LRSchedulerConfigType:
    """The rates stay as they are."""
    return _scheduled(optimizer, span, lambda step: 1.0)


def cosine(
    optimizer: Optimizer, span: Span, warmup_epochs: float = 0.0, final: float = 0.0, restart: bool = False
) -> LRSchedulerConfigType:
    """Linear warm-up, then half a cosine down to `final` times the rate, step by step.

    See Loshchilov and Hutter 2017, https://arxiv.org/abs/1608.03983. The cosine reaches `final` where the run
    ends. So the last of T steps after the warm-up still moves the weights where `final` is 0: its rate is
    (1 − final) · sin²(π / 2T) of the first above it, 7e-4 for T = 60. With `restart` warm-up and cosine begin
    anew with each phase of the freeze strategy, each phase ending so.
    """
    warmup = round(warmup_epochs * span.steps_per_epoch)

    def factor(step: int) -> float:
        begin, end = 0, span.steps
        if restart:
            starts = [epoch * span.steps_per_epoch for epoch in span.phases()]
            begin = max((start for start in starts if start <= step), default=0)
            end = min((start for start in starts if start > step), default=span.steps)
        if step - begin < warmup:
            return (step - begin + 1) / (warmup + 1)
        progress = min(1.0, (step - begin - warmup) / max(1, end - begin - warmup))
        return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * progress))

    return _scheduled(optimizer, span, factor)


def step(optimizer: Optimizer, span: Span, step_size: int = 7, gamma: float = 0.1) -> LRSchedulerConfigType:
    """The rates are multiplied by `gamma` every `step_size` epochs."""
    return _scheduled(optimizer, span, lambda step: gamma ** (step // span.steps_per_epoch // step_size))


def plateau(
    optimizer: Optimizer, span: Span, factor: float = 0.1, patience: int = 3, min_delta: float = 0.0
) -> LRSchedulerConfigType:
    """The rates are multiplied by `factor` when `val/loss` has not fallen for `patience` epochs.

    Both are counted as Lightning's `EarlyStopping` counts them: with `patience=3` the third epoch in a row
    without a lower loss is the last at the old rates.

    Raises:
        GraftError: the freeze strategy has rates of its own, which this schedule cannot bring back.
    """
    last = span.phases()[-1]
    if span.head_rate(last) != span.head_rate(0):
        raise GraftError(
            "scheduler=plateau keeps no rates by phase, which freeze.head_lr_factor wants;"
            " take scheduler=constant, step or cosine, or freeze.head_lr_factor=1"
        )
    # torch's patience counts the epochs that may pass before that.
    scheduler = ReduceLROnPlateau(
        optimizer, factor=factor, patience=patience - 1, threshold=min_delta, threshold_mode="abs"
    )
    return {"scheduler": scheduler, "interval": "epoch", "monitor": "val/loss"}


def _scheduled(optimizer: Optimizer, span: Span, factor: Callable[[int], float]) -> LRSchedulerConfigType:
    """Every group's rate at every step: its own · factor(step), and the head's · the strategy's word."""

    def head(step: int) -> float:
        return factor(step) * span.head_rate(step // span.steps_per_epoch)

    named = [str(group.get("name", "")) for group in optimizer.param_groups]
    factors = [head if name.startswith("head") else factor for name in named]
    return {"scheduler": LambdaLR(optimizer, factors), "interval": "step"}
