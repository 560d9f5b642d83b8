"""The callback that keeps `last.ckpt` and `previous.ckpt`, from which a stopped run goes on exactly."""

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from graft.processes import collectives
from graft.processes.interruption import defer, is_pending, raise_pending
from graft.processes.random_state import RandomState, random_state, set_random_state
from graft.reporting.loggers.epoch_table import EpochTable, TableState
from graft.training.callbacks.checkpoint_files import LAST, keep_previous
from graft.training.lightning_internals import forget_restart, goes_on_from_here


class Checkpoints(pl.callbacks.Checkpoint):
    """Saves between epochs, every few minutes, at the end of training and when the run is told to stop.

    Lightning calls checkpoint callbacks after all others, so what those do in a step is in the file. It
    saves only where Lightning's loops go on exactly: between two epochs, or within one where
    `goes_on_from_here`.

    Args:
        dirpath: the folder.
        minutes: the longest time between two files within an epoch; 0: after each step.
        seconds: the shortest time between two files at epochs' ends; 0: after each epoch.
    """

    def __init__(self, dirpath: str, minutes: float = 5, seconds: float = 0) -> None:
        self.folder = Path(dirpath)
        self.minutes = minutes
        self.seconds = seconds
        self.fitted = False
        self._epochs = 0
        self._seconds = 0.0
        self._started = self._saved = time.perf_counter()
        self._overdue = False
        self._random: RandomState | None = None
        self._metrics: dict[str, Tensor] = {}
        self._table: TableState = {}
        self._trainable: list[str] = []

    @property
    def state_key(self) -> str:
        """Where the state stands in a checkpoint: options are no part of it, so that they may change."""
        return "Checkpoints"

    def state_dict(self) -> dict[str, object]:
        """What Lightning does not save itself: generators, the epoch table, the last metrics, the time."""
        return {
            "fitted": self.fitted,
            "epochs": self._epochs,
            "seconds": self._seconds + time.perf_counter() - self._started,
            "random": collectives.gathered(random_state()),
            "metrics": self._metrics,
            "table": self._table,
            "trainable": self._trainable,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:  # noqa: D102
        self.fitted = state_dict["fitted"]
        self._epochs = state_dict["epochs"]
        self._seconds = state_dict["seconds"]
        # A process that was not there before goes on with the generators that it has.
        self._random = dict(enumerate(state_dict["random"])).get(collectives.index(), random_state())
        self._metrics = state_dict["metrics"]
        self._table = state_dict["table"]
        self._trainable = state_dict["trainable"]

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Let the best checkpoint be found where the run folder is now; it may have been moved."""
        for state in checkpoint["callbacks"].values():
            if isinstance(state, dict) and state.get("dirpath"):
                old, state["dirpath"] = state["dirpath"], str(self.folder)
                for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
                    state[key] = self._moved(state[key], old)
                best = state["best_k_models"].items()
                state["best_k_models"] = {self._moved(path, old): score for path, score in best}

    def _moved(self, path: str, old: str) -> str:
        return str(self.folder / Path(path).relative_to(old)) if path else path

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        self._started = self._saved = time.perf_counter()
        if not trainer.strategy.restore_checkpoint_after_setup:
            self._bring_back(trainer, pl_module)

    def _bring_back(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Bring back the epoch table; end at once a training that was at its end."""
        for table in _tables(trainer):
            table.restore(self._table)
        if self.fitted and trainer.max_epochs is not None:
            # Not if it is to go on for more epochs than it was to have.
            self.fitted = trainer.max_epochs <= self._epochs
            trainer.should_stop = self.fitted
            for name, parameter in pl_module.named_parameters():
                parameter.requires_grad_(name in self._trainable)
        self._epochs = trainer.max_epochs or 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        # Where weights are shared out, Lightning reads the checkpoint only after `on_fit_start`.
        if trainer.strategy.restore_checkpoint_after_setup:
            self._bring_back(trainer, pl_module)
        trainer.callback_metrics.update(self._metrics)
        if self._random is not None:
            set_random_state(self._random)
        defer(True)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save as if the epoch had not begun; the end of the one before has then been logged and counted."""
        if self._random is not None:
            # Other callbacks may have drawn since training started.
            set_random_state(self._random)
            self._random = None
        elif trainer.max_steps != -1:
            # A run that counts steps would not go on exactly from between two epochs.
            self._overdue = True
        elif trainer.global_step > 0:
            due, stops = collectives.any_of(time.perf_counter() - self._saved >= self.seconds, is_pending())
            if not (due or stops):
                return
            progress = trainer.fit_loop.epoch_progress
            progress.current.ready -= 1
            progress.total.ready -= 1
            try:
                self.save(trainer)
            finally:
                progress.current.ready += 1
                progress.total.ready += 1
            raise_pending(stops)

    def on_train_batch_end(self, trainer: pl.Trainer, *args: object) -> None:
        """Save where it is time to, or the run is told to stop, and the place is one to go on from."""
        self._random = None
        forget_restart(trainer)
        if not goes_on_from_here(trainer):
            return
        late = time.perf_counter() - self._saved >= 60 * self.minutes
        # If one of the processes is told to stop, all stop after the same step.
        late, stops = collectives.any_of(late, is_pending())
        if late or self._overdue or stops:
            self.save(trainer)
        raise_pending(stops)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: D102
        defer(False)
        self.fitted = True
        self.save(trainer)
        # If one of the processes is told to stop, all are.
        raise_pending(collectives.any_of(is_pending())[0])

    def on_exception(self, trainer: pl.Trainer, *args: object) -> None:
        """Save nothing: the step may be half done."""
        defer(False)

    def save(self, trainer: pl.Trainer) -> None:
        """Write `last.ckpt`; the one before becomes `previous.ckpt`."""
        self._metrics = {key: value.detach().cpu() for key, value in trainer.callback_metrics.items()}
        self._table = next((table.state() for table in _tables(trainer)), TableState())
        parameters = trainer.lightning_module.named_parameters()
        self._trainable = [name for name, parameter in parameters if parameter.requires_grad]
        # What was logged up to here would otherwise wait in memory, and a killed run lose it.
        for logger in trainer.loggers:
            logger.save()
        if trainer.is_global_zero:
            keep_previous(self.folder)
        trainer.save_checkpoint(self.folder / LAST, weights_only=False)
        self._saved = time.perf_counter()
        self._overdue = False


def _tables(trainer: pl.Trainer) -> list[EpochTable]:
    return [logger for logger in trainer.loggers if isinstance(logger, EpochTable)]
