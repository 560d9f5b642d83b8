"""A moving average of the weights, which is validated, tested and kept while training goes on without it."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from graft.data.randomness import random_stream
from graft.training.lightning_internals import averaged, keep_average_on
from graft.training.module import Batch, entering
from graft.training.running_statistics import MOST, first, moving, take_statistics

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

    BatchNorm's running statistics are those of other weights' activations, whether copied or averaged. Where
    they move in training, they are taken anew, from training images, whenever the average is to be judged:
    before each validation or, where nothing validates, at the end. That costs a forward pass over the images.

    A checkpoint's `state_dict` is the average, so `best` is what was validated; what resuming needs stands
    beside it.

    Args:
        decay: d, from 0 up to, not including, 1; lower while `warmed_decay` says so.
        recalibrate: how many training images statistics are taken from, at most; 0: they are copied from the
            weights that train.
    """

    def __init__(self, decay: float = 0.999, recalibrate: int = MOST) -> None:
        def average(averages: Weights, weights: Weights, updates: Tensor | int) -> None:
            step = get_ema_multi_avg_fn(warmed_decay(decay, int(updates)))  # type: ignore[no-untyped-call]
            step(averages, weights, updates)

        super().__init__(use_buffers=False, multi_avg_fn=average)
        self.decay = decay
        self.recalibrate = recalibrate
        self.swapped = False
        # The layers whose statistics move in this epoch.
        self._moving: list[str] = []

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Keep the average where the model is going to be: Lightning moves the model only after this."""
        keep_average_on(self, trainer.strategy.root_device)
        super().setup(trainer, pl_module, stage)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning skips the epoch's start when it resumes in mid-epoch."""
        self._moving = moving(pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        # After freezing, and before validation puts all layers in evaluation mode.
        self._moving = moving(pl_module)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        if not trainer.sanity_checking:
            self._take_statistics(trainer)
        super().on_validation_epoch_start(trainer, pl_module)
        self.swapped = True

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        super().on_validation_epoch_end(trainer, pl_module)
        self.swapped = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        super().on_train_epoch_end(trainer, pl_module)
        # Not `fit_loop.done`, which moves the loop's own count on.
        last = trainer.current_epoch + 1 == trainer.max_epochs or trainer.should_stop
        if (last or trainer.global_step == trainer.max_steps) and not sum(trainer.num_val_batches):
            # Before it is saved.
            self._take_statistics(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the average in the module where a resumed run had nothing left to train, too."""
        self.on_train_end(trainer, pl_module)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Swap back first where validation was interrupted, for a checkpoint may be written next."""
        if self.swapped:
            self.on_validation_epoch_end(trainer, pl_module)

    def _take_statistics(self, trainer: pl.Trainer) -> None:
        """Take the statistics of the average's moving layers from the training images of this epoch."""
        if not (self._moving and self.recalibrate):
            return
        average = averaged(self)
        loading = trainer.datamodule  # type: ignore[attr-defined]

        def run(batch: Batch) -> None:
            batch = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))
            with trainer.precision_plugin.forward_context():
                average(*entering(batch))

        batches: Any = getattr(loading, "same_epoch", trainer.train_dataloader)
        # Not in inference_mode, as validation is: the feature cache may compute what autograd will read. And
        # with the streams as they were, whatever a loader or a layer draws.
        with torch.inference_mode(False), random_stream(trainer.global_step):
            take_statistics(average, self._moving, first(batches, self.recalibrate), run)
