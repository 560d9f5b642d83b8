"""Progress: a live bar in a terminal, one plain line an epoch in a log file."""

import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar, RichProgressBar

from graft.configuration.metric_names import SCORED
from graft.processes.output import is_terminal
from graft.runs.log import say


def progress_bar(refresh_rate: int = 1) -> ProgressBar:
    """Rich's bar where standard output is a terminal, else `EpochLines`.

    Args:
        refresh_rate: how often the bar is drawn, in times a second; 0: never.
    """
    return Bar(refresh_rate=refresh_rate, leave=False) if is_terminal() else EpochLines()


class Bar(RichProgressBar):
    """Rich's bar, which counts no more often than it is drawn."""

    _counted = 0.0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move on if the last time is long enough ago, or this batch is the last."""
        moment = time.monotonic()
        if (moment - self._counted) * self.refresh_rate >= 1 or batch_idx + 1 == self.total_train_batches:
            self._counted = moment
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)


class EpochLines(ProgressBar):
    """`epoch 3/10  train/loss 0.412  val/loss 0.398  val/accuracy 0.871  (4.1 s)`."""

    shown: tuple[str, ...] = ("train/loss", "train/accuracy", "val/loss", "val/accuracy", SCORED)

    def __init__(self) -> None:
        super().__init__()
        self._started = 0.0
        self._validated = False

    def disable(self) -> None:
        """Lightning calls this in all processes but the first, which print nothing."""
        self.shown = ()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning skips the start of an epoch that a resumed run goes on with."""
        if trainer.fit_loop.restarted_mid_epoch:
            self._started = time.perf_counter()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        self._finish(trainer)
        self._started = time.perf_counter()
        self._validated = False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        self._validated = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        self._finish(trainer)

    def _finish(self, trainer: pl.Trainer) -> None:
        """Print the epoch before: its numbers are complete only once the next one starts."""
        done = trainer.current_epoch
        metrics = trainer.callback_metrics
        if not self._started or not self.shown or not metrics:
            return
        # Lightning keeps the last validation's numbers also through epochs that have none.
        fresh = [key for key in self.shown if self._validated or key.startswith("train/")]
        numbers = "  ".join(f"{key} {float(metrics[key]):.4g}" for key in fresh if key in metrics)
        seconds = time.perf_counter() - self._started
        say(f"epoch {done}/{trainer.max_epochs}  {numbers}  ({seconds:.1f} s)")
        self._started = 0.0
