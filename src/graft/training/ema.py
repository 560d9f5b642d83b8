"""A moving average of the weights, which is validated, tested and kept while training goes on without it."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

Weights = tuple[Tensor, ...] | list[Tensor]


def warmed_decay(decay: float, updates: int) -> float:
    """min(decay, (1 + k) / (10 + k)) at the k-th update.

    A decay of 0.999 alone would leave a fine-tune of some hundred steps at little else than its start.
    """
    return min(decay, (1 + updates) / (10 + updates))


class Ema(WeightAveraging):
    """Lightning's `WeightAveraging` with the average e ← e + (1−d_k)·(w−e) after each optimizer step.

    The average begins as the weights after the first step. In this form, and unlike in
    d·e + (1−d)·w, weights that stand still are their own average to the last bit, so frozen is frozen.
    Buffers, which are BatchNorm's running statistics, are copied from the training weights instead: they
    are averages already, and those of a frozen stage stand still.

    A checkpoint's `state_dict` is the average, so `best` is what was validated; what resuming needs stands
    beside it.

    Args:
        decay: d, from 0 up to, not including, 1; lower while `warmed_decay` says so.
    """

    def __init__(self, decay: float = 0.999) -> None:
        def average(averages: Weights, weights: Weights, updates: Tensor | int) -> None:
            step = get_ema_multi_avg_fn(warmed_decay(decay, int(updates)))  # type: ignore[no-untyped-call]
            step(averages, weights, updates)

        super().__init__(use_buffers=False, multi_avg_fn=average)
        self.decay = decay
        self.swapped = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Keep the average where the model is going to be: Lightning moves the model only after this."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        super().on_validation_epoch_start(trainer, pl_module)
        self.swapped = True

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        super().on_validation_epoch_end(trainer, pl_module)
        self.swapped = False

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Swap back first where validation was interrupted, for a checkpoint may be written next."""
        if self.swapped:
            self.on_validation_epoch_end(trainer, pl_module)
