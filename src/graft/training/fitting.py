"""Lightning's fit of a run, in the process that began it and in those that follow it."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]

from graft.configuration.run_config import RunConfig
from graft.errors import GraftError, first_line
from graft.freezing.apply import FreezeCallback
from graft.processes import collectives, meeting
from graft.processes.interruption import interruptible
from graft.reporting.loggers.epoch_table import EpochTable
from graft.runs import RunFolder
from graft.runs.launch import launched
from graft.training.assembly import Parts, prepare
from graft.training.trainer import make_callbacks, make_loggers, make_trainer


def trainer_of(
    config: RunConfig,
    path: Path,
    parts: Parts,
    size: int,
    purge_step: int | None,
    first: Sequence[pl.Callback] = (),
) -> tuple[pl.Trainer, EpochTable]:
    """The Trainer of one of `size` processes, and the logger that keeps the epochs' numbers.

    Loggers drop what they were given from `purge_step` on, if there is one; callbacks in `first` are called
    before all others.

    Raises:
        GraftError: the Trainer refuses its settings.
    """
    table = EpochTable(RunFolder(path).epochs)
    validated = len(parts.loading.splits["val"]) > 0
    callbacks = [*first, FreezeCallback(parts.plan), *make_callbacks(config, path, validated)]
    loggers = [*make_loggers(config, path, purge_step), table]
    return make_trainer(config, path, callbacks, loggers, size=size, changes=parts.plan.changes), table


def fit(config: RunConfig, parts: Parts, trainer: pl.Trainer, checkpoint: Path | None) -> float:
    """Train, in each of the run's processes, from `checkpoint` on if given; says the seconds that it took.

    Raises:
        GraftError: Lightning refuses the settings, or the processes differ.
    """
    if collectives.size() > 1:
        collectives.check_same(config.recorded(), asdict(parts.loading.facts))
        # The processes draw apart, as the images of one process's batch do; weights are the first's.
        pl.seed_everything((config.seed + collectives.index()) % 2**32, workers=True, verbose=False)
    if config.compile:
        # In place, so that the names of the weights stay as they are.
        parts.module.compile()
    started = time.perf_counter()
    try:
        trainer.fit(parts.module, datamodule=parts.loading, ckpt_path=checkpoint, weights_only=True)
    except MisconfigurationException as error:
        raise GraftError(f"trainer: {first_line(error)}") from error
    return time.perf_counter() - started


def follow(folder: RunFolder, checkpoint: Path | None) -> None:
    """Train as one more process of the run in `folder`, from `checkpoint` on if it goes on.

    Raises:
        GraftError: the data, the weights or the device are not what the configuration says.
    """
    config, parts, size = prepare(RunConfig.of(folder.read_config()), folder)
    trainer, _ = trainer_of(config, folder.path, parts, size, None)
    with interruptible():
        if not launched():
            meeting.join_first()
        fit(config, parts, trainer, checkpoint)


def follow_announced() -> None:
    """Wait until the first of the processes that a launcher has started announces a run, and follow it."""
    meeting.meet()
    if run := meeting.announced():
        follow(*run)
