"""`graft train`: the story of one run, from a checked configuration to a run folder."""

import time
import traceback
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]

from graft.configuration.building import check_trusted, one_line
from graft.configuration.key_table import OF_A_START
from graft.configuration.run_config import RunConfig
from graft.data import recorded_rows
from graft.data.recognition import check_same_images
from graft.errors import GraftError, reason_of
from graft.freezing.apply import FreezeCallback
from graft.processes import collectives, meeting
from graft.processes.interruption import Terminated, interruptible
from graft.processes.random_state import random_state, set_random_state
from graft.processes.starting import together
from graft.processes.threads import kept_threads
from graft.runs import RunFolder, slurm
from graft.runs.files import write_csv, write_yaml
from graft.runs.fingerprint import fingerprint
from graft.runs.launch import launched
from graft.runs.log import keep, log_to, say
from graft.runs.resuming import continued, find_run
from graft.sweeps.pruning import Pruning
from graft.training import assembly
from graft.training.assembly import Parts, prepare
from graft.training.beginning import record_start, show_training_images
from graft.training.cache import decision as cache_decision
from graft.training.callbacks.checkpoint_files import newest
from graft.training.ending import fitted, show_result, test_and_write
from graft.training.later_test import test_later
from graft.training.loggers.epoch_table import EpochTable
from graft.training.lr_finder import found_factor, scaled
from graft.training.relation import learn_relation
from graft.training.solved_run import solve_head
from graft.training.source_maps import measure_maps
from graft.training.trainer import make_callbacks, make_loggers, make_trainer


def run(config: RunConfig, path: Path, overrides: list[str]) -> RunFolder:
    """Train as `config` says; everything that the run leaves stands in the folder `path`.

    Until training can start nothing is written, so a mistake leaves no folder behind. With `config.resume`
    the run of that folder goes on in it, by its own configuration.

    Args:
        config: resolved and checked.
        path: becomes the run folder.
        overrides: the words that led to `config`, for the record.

    Raises:
        GraftError: the data, the weights or the device are not what the configuration says.
    """
    resumed = find_run(config.resume) if config.resume else None
    # From here on, so that nothing of the run changes once it is read.
    with resumed.hold() if resumed else nullcontext(), kept_threads():
        return train(config, path, overrides, resumed)


def train(config: RunConfig, path: Path, overrides: list[str], resumed: RunFolder | None) -> RunFolder:
    """As `run`; `resumed` is the run to go on with, which no other process goes on with meanwhile."""
    asked, at = fingerprint(config.plain()), None
    if resumed is not None:
        path, before = resumed.path, resumed.read_config()
        check_trusted(before, config.trust, str(resumed.config))
        start = {key: value for key, value in vars(config).items() if key in OF_A_START}
        config = replace(RunConfig.of(continued(resumed, config.recorded(), overrides)), **start)
        longer = config.trainer["max_epochs"] > before["trainer"]["max_epochs"]
        if resumed.status()["status"] == "finished" and not longer:
            say(f"already finished: {path}")
            if config.test and not resumed.tested:
                test_later(resumed, config)
            return resumed
        at = newest(resumed.checkpoints)
    config, parts, size = prepare(config, resumed)
    if at is None:
        learn_relation(parts.module, parts.loading, config.trainer)
        measure_maps(parts.module, parts.loading, config.trainer)
    if config.lr_find:
        before_search = random_state()
        factor = found_factor(parts.module, parts.loading, parts.plan, config.trainer)
        set_random_state(before_search)
        # What is recorded is what was found: the run can be repeated and resumed without another search.
        config = replace(config, lr_find=False, optimizer=scaled(config.optimizer, factor))
        rates = ", ".join(f"optimizer.{key}={config.optimizer.get(key)}" for key in ("lr", "head_lr"))
        print(f"lr_find: {rates}", flush=True)
        parts.module.groups = parts.module.grouped(assembly.rates(config.optimizer))
    trainer, table = trainer_of(config, path, parts, size, None if resumed is None else at.step if at else 0)
    pruning = None
    if config.sweep.trial and size == 1:
        pruning = Pruning(config.sweep.trial, config.sweep.metric)
        # Before those that save, so that what they save knows whether the run ends.
        trainer.callbacks.insert(0, pruning)  # type: ignore[attr-defined]
    cached = cache_decision.decide(config, *parts, trainer, size)

    if resumed is not None:
        check_same_images(resumed, parts.loading.data, parts.loading.splits)
        resumed.take_up()
        # As now: an older Graft recorded no digests.
        write_csv(resumed.split, recorded_rows(parts.loading.data, parts.loading.splits))
    folder = resumed or RunFolder.claim(path, fingerprint=asked)
    with folder.hold(), log_to(folder.log):
        try:
            with interruptible():
                say("\n".join([parts.loading.splits.describe(), *parts.loading.data.notes]))
                if at is None:
                    record_start(folder, config, overrides, parts)
                else:
                    write_yaml(folder.config, config.recorded())
                    say(f"goes on after step {at.step}")
                for line in [*config.notes, cached.line]:
                    if line:
                        say(line)
                show_training_images(folder, parts, trainer, at is not None)
                parts.loading.cache = cached.cache
                if config.solves:
                    assert cached.cache is not None
                    trained = solve_head(folder, config, parts, trainer, cached.cache)
                else:
                    with together(size, folder, at and at.path):
                        seconds = fit(config, parts, trainer, at and at.path) + (at.seconds if at else 0.0)
                    trained = fitted(folder, config, parts, trainer, seconds)
                test_and_write(folder, config, parts, trainer, table, trained)
        except (KeyboardInterrupt, Terminated) as stop:
            reason = stop.reason if isinstance(stop, Terminated) else "Ctrl-C"
            folder.set_status("interrupted", reason=reason)
            say(f"interrupted; graft train resume={path} goes on")
            if isinstance(stop, Terminated) and stop.requeue:
                slurm.requeue()
            raise
        except BaseException as error:
            folder.set_status("failed", reason=reason_of(error))
            keep(traceback.format_exc())
            raise
        folder.set_status("finished", **({"pruned": pruning.after} if pruning and pruning.after else {}))
        show_result(folder)
    return folder


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


def trainer_of(
    config: RunConfig, path: Path, parts: Parts, size: int, purge_step: int | None
) -> tuple[pl.Trainer, EpochTable]:
    """The Trainer of one of `size` processes, and the logger that keeps the epochs' numbers.

    Raises:
        GraftError: the Trainer refuses its settings.
    """
    table = EpochTable(RunFolder(path).epochs)
    validated = len(parts.loading.splits["val"]) > 0
    callbacks = [FreezeCallback(parts.plan), *make_callbacks(config, path, validated)]
    loggers = [*make_loggers(config, path, purge_step), table]
    return make_trainer(config, path, callbacks, loggers, size=size, changes=parts.plan.changes), table


def fit(config: RunConfig, parts: Parts, trainer: pl.Trainer, checkpoint: Path | None) -> float:
    """Train, in each of the run's processes, from `checkpoint` on if given; says the seconds that it took.

    Raises:
        GraftError: Lightning refuses the settings, or the processes differ.
    """
    loading = parts.loading
    if collectives.size() > 1:
        collectives.check_same(config.recorded(), asdict(loading.facts))
        # The processes draw apart, as the images of one process's batch do; weights are the first's.
        pl.seed_everything((config.seed + collectives.index()) % 2**32, workers=True, verbose=False)
    if config.compile:
        # In place, so that the names of the weights stay as they are.
        parts.module.compile()
    started = time.perf_counter()
    try:
        trainer.fit(parts.module, datamodule=loading, ckpt_path=checkpoint, weights_only=True)
    except MisconfigurationException as error:
        raise GraftError(f"trainer: {one_line(error)}") from error
    return time.perf_counter() - started
