"""Linear probing, then fine-tuning (LP-FT)."""

from collections.abc import Mapping
from typing import Any

from graft.freezing.parts import Part
from graft.freezing.strategies import Norm, Treatment, treat


class LpFt:
    """First only the head trains, then everything trains, starting from that head.

    Fine-tuning from a new head first bends the features towards a random head; fine-tuning from a head
    that fits does not (Kumar and others 2022, https://arxiv.org/abs/2202.10054).

    The switch comes after `epochs` epochs, or sooner, when the probe's validation loss has not fallen for
    `patience` epochs. The epoch of the switch is state, saved with every checkpoint; given it, treatment
    and rates are functions of the epoch alone.

    Args:
        epochs: the longest the probe lasts.
        patience: epochs without a lower `val/loss` that end the probe; None: it lasts `epochs`.
        head_lr_factor: the head's rate while tuning, as a share of its rate while probing.
        norm: what norm layers do once everything trains.
    """

    def __init__(
        self,
        epochs: int,
        patience: int | None = None,
        head_lr_factor: float = 0.1,
        norm: Norm | None = None,
    ) -> None:
        self.switch = epochs
        self.patience = patience
        self.head_lr_factor = head_lr_factor
        self.norm = norm
        self.lowest: float | None = None
        self.lowest_epoch = 0

    def treatment(self, part: Part, epoch: int) -> Treatment:  # noqa: D102
        return treat(part, True, self.norm) if epoch >= self.switch else Treatment(False)

    def head_rate(self, epoch: int) -> float:
        """What the head's learning rate is multiplied by."""
        return self.head_lr_factor if epoch >= self.switch else 1.0

    def observe(self, epoch: int, loss: float) -> None:
        """Take note of the validation loss that `epoch` ended with."""
        if self.patience is None or epoch >= self.switch:
            return
        if self.lowest is None or loss < self.lowest:
            self.lowest, self.lowest_epoch = loss, epoch
        elif epoch - self.lowest_epoch >= self.patience:
            self.switch = min(self.switch, epoch + 1)

    def state_dict(self) -> dict[str, float | None]:
        """The epoch of the switch as far as it is known, and what it is decided by."""
        return {"switch": self.switch, "lowest": self.lowest, "lowest_epoch": self.lowest_epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.switch, self.lowest = state["switch"], state["lowest"]
        self.lowest_epoch = state["lowest_epoch"]
