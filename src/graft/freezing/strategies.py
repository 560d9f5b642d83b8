"""Freeze strategies: pure functions that say, for one parameter and one epoch, whether it trains.

A strategy of your own is a class with a `treatment` method, named by `_target_` in a YAML file:

    class EveryOther:
        def treatment(self, part: Part, epoch: int) -> Treatment:
            return Treatment(trains=part.stage % 2 == 0)

It may also have the methods of `Prepares`, `RatesHead`, `Observes` and `Stateful`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from torch import nn

from graft.errors import GraftError
from graft.freezing.parts import Part, parts

# What normalisation layers do: nothing, only the affine parameters train, only the statistics move, both.
Norm = Literal["frozen", "affine", "statistics", "train"]


@dataclass(frozen=True)
class Treatment:
    """What a strategy decides for one part in one epoch.

    Attributes:
        trains: whether the parameter has a gradient.
        statistics: of a normalisation layer's parameter, whether the layer's running statistics move;
            None: they move if it trains.
    """

    trains: bool
    statistics: bool | None = None

    @property
    def moves_statistics(self) -> bool:
        """Whether the running statistics of the parameter's normalisation layer move."""
        return self.trains if self.statistics is None else self.statistics


@runtime_checkable
class FreezeStrategy(Protocol):
    """Anything with a `treatment` method that depends on its arguments alone, and on what was observed."""

    def treatment(self, part: Part, epoch: int) -> Treatment:
        """Say how `part` is treated in `epoch` (counted from 0)."""


@runtime_checkable
class Prepares(Protocol):
    """A strategy that looks at the backbone, or adds to it, before the plan is made."""

    def prepare(self, stages: nn.ModuleDict) -> None:
        """Change the stages in place, or refuse them by a GraftError."""


@runtime_checkable
class RatesHead(Protocol):
    """A strategy that changes the head's learning rate."""

    def head_rate(self, epoch: int) -> float:
        """Say what the head's rate is multiplied by in `epoch`."""


@runtime_checkable
class Observes(Protocol):
    """A strategy that depends on how training goes; it should be `Stateful` too, so that runs resume exactly.

    What it observes may change the treatment of epochs that have not begun, and of no others.
    """

    def observe(self, epoch: int, loss: float) -> None:
        """Take note of the validation loss that `epoch` ended with."""


@runtime_checkable
class Stateful(Protocol):
    """A strategy with a state that checkpoints save."""

    def state_dict(self) -> Mapping[str, object]:
        """Give the state as plain values."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""


def treat(part: Part, trains: bool, norm: Norm | None) -> Treatment:
    """The treatment of a part: as `trains` says; of a norm layer's as `norm` says, where it is given."""
    if part.kind != "norm" or norm is None:
        return Treatment(trains)
    return Treatment(trains and norm in ("affine", "train"), norm in ("statistics", "train"))


@dataclass(frozen=True)
class Full:
    """Everything trains: fine-tuning, or training from scratch. `norm`: what norm layers do."""

    norm: Norm | None = None

    def treatment(self, part: Part, epoch: int) -> Treatment:  # noqa: D102
        return treat(part, True, self.norm)


@dataclass(frozen=True)
class Frozen:
    """Nothing of the backbone trains: feature extraction, a linear probe.

    Args:
        norm: `statistics` lets BatchNorm's running statistics move to the target's images, as AdaBN does
            (https://arxiv.org/abs/1603.04779); the other words do to norm layers what they say.
    """

    norm: Norm | None = None

    def treatment(self, part: Part, epoch: int) -> Treatment:  # noqa: D102
        return treat(part, part.kind == "norm" and self.norm is not None, self.norm)


@dataclass(frozen=True)
class LastK:
    """The last `k` stages train; those below stay as they came.

    Args:
        k: how many stages, counted from the head; more than there are means all of them.
        norm: what norm layers do in the stages that train.
    """

    k: int
    norm: Norm | None = None

    def treatment(self, part: Part, epoch: int) -> Treatment:  # noqa: D102
        return _last(part, self.k, self.norm)


@dataclass(frozen=True)
class FreezeUnfreeze:
    """Only the head trains in the first `at` epochs, then everything.

    Args:
        at: the epoch, counted from 0, in which the backbone begins to train; 0: at once.
        norm: what norm layers do once the backbone trains.
    """

    at: int
    norm: Norm | None = None

    def treatment(self, part: Part, epoch: int) -> Treatment:  # noqa: D102
        return treat(part, True, self.norm) if epoch >= self.at else Treatment(False)


@dataclass(frozen=True)
class Gradual:
    """Only the head trains at first; every `every` epochs one more stage joins, from the top down.

    Gradual unfreezing as in ULMFiT (Howard and Ruder 2018, https://arxiv.org/abs/1801.06146).

    Args:
        every: epochs between two stages.
        norm: what norm layers do in the stages that train.
    """

    every: int = 1
    norm: Norm | None = None

    def treatment(self, part: Part, epoch: int) -> Treatment:  # noqa: D102
        return _last(part, epoch // self.every, self.norm)


@dataclass(frozen=True)
class NormOnly:
    """The affine parameters of normalisation layers train, and the head.

    "Training BatchNorm and only BatchNorm" (Frankle and others 2021, https://arxiv.org/abs/2003.00152).

    Args:
        norm: `train` lets the running statistics move as well.
    """

    norm: Norm = "affine"

    def treatment(self, part: Part, epoch: int) -> Treatment:  # noqa: D102
        return treat(part, part.kind == "norm", self.norm)

    def prepare(self, stages: nn.ModuleDict) -> None:
        """Refuse a backbone that has no such layers.

        Raises:
            GraftError: nothing of the backbone would train.
        """
        _refuse_nothing(self, stages, "freeze=norm_only: the backbone has no normalisation layers to train")


@dataclass(frozen=True)
class BiasOnly:
    """Biases train, and the head (BitFit, https://arxiv.org/abs/2106.10199).

    On a convolutional network with BatchNorm nearly all biases are BatchNorm's: of ResNet-50's 54, 53.

    Args:
        norm: `train` lets the running statistics move as well; `frozen` leaves norm layers' biases out.
    """

    norm: Norm = "affine"

    def treatment(self, part: Part, epoch: int) -> Treatment:  # noqa: D102
        return treat(part, part.name.rpartition(".")[2].endswith("bias"), self.norm)

    def prepare(self, stages: nn.ModuleDict) -> None:
        """Refuse a backbone that has no biases.

        Raises:
            GraftError: nothing of the backbone would train.
        """
        _refuse_nothing(self, stages, "freeze=bias_only: the backbone has no such biases to train")


def _refuse_nothing(strategy: FreezeStrategy, stages: nn.ModuleDict, message: str) -> None:
    if not any(strategy.treatment(part, 0).trains for part, _, _ in parts(stages)):
        raise GraftError(message)


def _last(part: Part, k: int, norm: Norm | None) -> Treatment:
    return treat(part, True, norm) if part.stage >= part.stages - k else Treatment(False)
