"""The freeze plan: what a strategy comes to for one backbone and one length of training."""

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from torch import nn

from graft.freezing.parts import Part, parts
from graft.freezing.strategies import FreezeStrategy, Observes, RatesHead, Stateful, Treatment


class FreezePlan:
    """What is frozen, in which epochs. Only the plan asks the strategy; all other code asks the plan.

    A strategy that observes (`freeze=lp_ft` with `patience`) decides as training goes. Then `phases` and
    `prefix` say of epochs that have begun what holds for good, and of later ones what holds if nothing
    more is observed. `observe` and `load_state_dict` bring them up to date, so ask again in each epoch and
    keep no copy. `changes` and `may_train` allow for any later change, and stay as they are.

    Args:
        strategy: what decides; where it is one that `Prepares`, it has prepared the stages.
        stages: the backbone's, in order; what is known of their parameters is kept, and no module.
        epochs: how many the run trains.
        splits: whether the stages can run apart. Where they cannot, the prefix is all of them or none.

    Attributes:
        epochs: as given.
        phases: the epochs, 0 first, in which something is treated otherwise than in the epoch before.
    """

    phases: tuple[int, ...]

    def __init__(
        self, strategy: FreezeStrategy, stages: nn.ModuleDict, epochs: int, splits: bool = True
    ) -> None:
        self._strategy = strategy
        # Looked up here once: the head's rate is asked for in every step.
        self._rates_head = strategy if isinstance(strategy, RatesHead) else None
        self._observes = strategy if isinstance(strategy, Observes) else None
        self._stateful = strategy if isinstance(strategy, Stateful) else None
        self._parts = [part for part, _, _ in parts(stages)]
        self._stages = len(stages)
        self._splits = splits
        self.epochs = epochs
        self._lay_out()

    def _lay_out(self) -> None:
        """Ask the strategy for every part and epoch."""
        phases, prefixes = [], []
        prefix, before = self._stages, None
        for epoch in range(self.epochs):
            treatments = [self.treatment(part, epoch) for part in self._parts]
            if treatments == before:
                continue
            for part, treatment in zip(self._parts, treatments, strict=True):
                if treatment.trains or (part.kind == "norm" and treatment.moves_statistics):
                    prefix = min(prefix, part.stage)
            phases.append(epoch)
            prefixes.append(prefix if self._splits or prefix == self._stages else 0)
            before = treatments
        self.phases, self._prefixes = tuple(phases), prefixes

    def treatment(self, part: Part, epoch: int) -> Treatment:
        """How `part` is treated in `epoch`, counted from 0."""
        return self._strategy.treatment(part, epoch)

    def prefix(self, epoch: int | None = None) -> int:
        """How many stages, counted from the stem, are frozen whole in all epochs up to this one, or the last.

        Frozen whole: no parameter trains and no normalisation layer's statistics move, so that the stage
        stands in evaluation mode and holds the weights it came with. A stage without parameters belongs to
        the prefix if all below it does.
        """
        if epoch is None:
            return self._prefixes[-1]
        return self._prefixes[bisect_right(self.phases, epoch) - 1]

    def first_epoch(self, part: Part) -> int | None:
        """The first epoch in which `part` trains, or None."""
        return next((epoch for epoch in self.phases if self.treatment(part, epoch).trains), None)

    def may_train(self, part: Part) -> bool:
        """Whether `part` trains in some epoch; where the strategy observes, it may."""
        return self._observes is not None or self.first_epoch(part) is not None

    @property
    def changes(self) -> bool:
        """Whether what trains may change in the course of training."""
        return self._observes is not None or len(self.phases) > 1

    def head_rate(self, epoch: int) -> float:
        """What the head's learning rate is multiplied by in `epoch`: 1 unless the strategy changes it."""
        return 1.0 if self._rates_head is None else float(self._rates_head.head_rate(epoch))

    @property
    def observes(self) -> bool:
        """Whether the strategy depends on how training goes."""
        return self._observes is not None

    def observe(self, epoch: int, loss: float) -> None:
        """Let a strategy that observes know the validation loss that `epoch` ended with."""
        if self._observes is not None:
            self._observes.observe(epoch, loss)
            self._lay_out()

    def state_dict(self) -> dict[str, object]:
        """What is saved of the strategy; empty where it has no state."""
        return {} if self._stateful is None else dict(self._stateful.state_dict())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        if self._stateful is not None:
            self._stateful.load_state_dict(state)
            self._lay_out()
