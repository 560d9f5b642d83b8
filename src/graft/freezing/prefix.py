"""The frozen prefix: the stages, from the stem on, whose outputs for an image never change."""

from collections.abc import Iterable

from torch import nn

from graft.freezing.apply import statistics_move
from graft.freezing.parts import Part, parts
from graft.freezing.strategies import FreezeStrategy


def frozen_prefix(strategy: FreezeStrategy, stages: nn.ModuleDict, epochs: Iterable[int]) -> int:
    """How many stages, counted from the stem, are frozen whole in all of these epochs.

    Frozen whole: no parameter trains and no normalisation layer's statistics move, so that the stage stands
    in evaluation mode and, having been so from the first epoch on, holds the weights it came with. A stage
    without parameters belongs to the prefix if all below it does.

    Args:
        strategy: what decides.
        stages: the backbone's.
        epochs: those that count; for what an epoch sees, all up to it in which something changes.
    """
    epochs = list(epochs)
    moving = len(stages)
    for part, _, _ in parts(stages):
        if part.stage < moving and any(_moves(strategy, part, epoch) for epoch in epochs):
            moving = part.stage
    return moving


def _moves(strategy: FreezeStrategy, part: Part, epoch: int) -> bool:
    treatment = strategy.treatment(part, epoch)
    return treatment.trains or (part.kind == "norm" and statistics_move(treatment))
