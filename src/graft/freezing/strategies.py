"""Freeze strategies: pure functions that say, for one parameter and one epoch, whether it trains.

A strategy of your own is a class with a `treatment` method, named by `_target_` in a YAML file:

    class EveryOther:
        def treatment(self, part: Part, epoch: int) -> Treatment:
            return Treatment(trains=part.stage % 2 == 0)
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Part:
    """What a strategy decides about: one parameter of the backbone.

    Attributes:
        stage: index of its stage, 0 being the stem.
        stages: how many stages the backbone has.
        stage_name: name of the stage, such as `layer4`.
        name: the parameter's name inside the stage, such as `0.conv1.weight`.
        kind: `weight`, `bias`, or `norm` (weight and bias of a normalisation layer).
    """

    stage: int
    stages: int
    stage_name: str
    name: str
    kind: str


@dataclass(frozen=True)
class Treatment:
    """What a strategy decides for one part in one epoch."""

    trains: bool


class FreezeStrategy(Protocol):
    """Anything that has a `treatment` method that depends on nothing but its arguments."""

    def treatment(self, part: Part, epoch: int) -> Treatment:
        """Say how `part` is treated in `epoch` (counted from 0)."""
        ...


class Full:
    """Everything trains: fine-tuning, or training from scratch."""

    def treatment(self, part: Part, epoch: int) -> Treatment:  # noqa: D102
        return Treatment(trains=True)


class Frozen:
    """Nothing of the backbone trains: feature extraction, a linear probe."""

    def treatment(self, part: Part, epoch: int) -> Treatment:  # noqa: D102
        return Treatment(trains=False)


class LastK:
    """The last `k` stages train; those below stay as they came.

    Args:
        k: how many stages, counted from the head; more than there are means all of them.
    """

    def __init__(self, k: int) -> None:
        self.k = k

    def treatment(self, part: Part, epoch: int) -> Treatment:  # noqa: D102
        return Treatment(trains=part.stage >= part.stages - self.k)
