"""The callback that lets a run pause after some of its epochs."""

import pytorch_lightning as pl

from graft.processes.interruption import pause


class PauseAfter(pl.Callback):
    """Stops a run before the next epoch, as Ctrl-C would; it goes on to the same end.

    Args:
        epochs: after how many, of the whole run.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        # Before `Checkpoints` hears of the epoch, which then saves and stops.
        if trainer.current_epoch >= self.epochs:
            pause(f"stop_after={self.epochs}")
