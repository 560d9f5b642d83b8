"""Reporting to an Optuna trial how its run fares, and ending the run where others fare better."""

import math

import pytorch_lightning as pl

from graft.sweeps.study import open_trial


class Pruning(pl.Callback):
    """Reports a validation metric after each epoch; a run that is not worth going on with ends early.

    It ends as early stopping ends one, so that it leaves a whole run folder. optuna-integration's callback
    imports the package `lightning`, where Graft stands on `pytorch_lightning`, and raises instead.

    Args:
        trial: which one, as `graft.sweeps.study.name_of` wrote it.
        metric: such as `val/accuracy`.

    Attributes:
        after: the number of epochs after which the run was ended, or None.
    """

    def __init__(self, trial: str, metric: str) -> None:
        self.metric = metric
        self.after: int | None = None
        self._trial = open_trial(trial)
        # A run that goes on may come to an epoch again that it has reported.
        self._reported = dict(self._trial.study.trials[self._trial.number].intermediate_values)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        value = trainer.callback_metrics.get(self.metric)
        if trainer.sanity_checking or value is None or not math.isfinite(value):
            return
        epoch = trainer.current_epoch
        if epoch not in self._reported:
            self._reported[epoch] = float(value)
            self._trial.report(float(value), epoch)
        if self._trial.should_prune() and epoch + 1 < (trainer.max_epochs or math.inf):
            self.after = epoch + 1
            trainer.should_stop = True
