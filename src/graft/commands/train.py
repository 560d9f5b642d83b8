"""`graft train`: the story of one run, from a checked configuration to a run folder.

What a run needs is prepared, its folder claimed, its model fitted, and what came out is ended with a test, a
table and a path.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import pytorch_lightning as pl

from graft.configuration.building import check_trusted
from graft.configuration.key_table import OF_A_START
from graft.configuration.run_config import RunConfig
from graft.configuration.schema import Config
from graft.data import recorded_rows
from graft.errors import reason_of
from graft.processes.interruption import Paused, Terminated, interruptible
from graft.processes.starting import together
from graft.processes.threads import kept_threads
from graft.reporting.loggers.epoch_table import EpochTable
from graft.runs import RunFolder, slurm
from graft.runs.files import write_csv, write_yaml
from graft.runs.fingerprint import fingerprint
from graft.runs.log import keep, log_to, say
from graft.runs.resuming import continued, find_run
from graft.sources.recognition import check_same_images
from graft.sweeps.pruning import Pruning
from graft.training.assembly import Parts, prepare
from graft.training.beginning import record_start, show_training_images
from graft.training.cache import decision as cache_decision
from graft.training.callbacks.checkpoint_files import Position, newest
from graft.training.callbacks.pause import PauseAfter
from graft.training.deferred import finish_test
from graft.training.domain_figure import shown
from graft.training.ending import Trained, best_of, show_result, test_and_write
from graft.training.fitting import fit, trainer_of
from graft.training.lr_finder import at_found_rates
from graft.training.solved_run import solve_head
from graft.training.source import learn_relation, measure_maps


@dataclass(frozen=True)
class Prepared:
    """A run that can start; nothing of it is written yet.

    Attributes:
        config: with what this machine, and a search for rates, had to say.
        parts: data, model and freeze plan.
        processes: how many train together.
        trainer: Lightning's.
        table: the epochs' numbers.
        cached: whether stored features are read.
        checkpoint: what the run goes on from; None for its beginning.
        pruning: ends a search's trial early; None for a run that is no trial.
    """

    config: RunConfig
    parts: Parts
    processes: int
    trainer: pl.Trainer
    table: EpochTable
    cached: cache_decision.Decision
    checkpoint: Position | None
    pruning: Pruning | None


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
    identity = fingerprint(config.plain())
    # No other process goes on with the run meanwhile: nothing of it changes once it is read.
    with resumed.hold() if resumed else nullcontext(), kept_threads():
        if resumed is not None:
            path, recorded = resumed.path, resumed.read_config()
            config = of_resumed(resumed, recorded, config, overrides)
            longer = config.trainer["max_epochs"] > recorded["trainer"]["max_epochs"]
            if resumed.status()["status"] == "finished" and not longer:
                say(f"already finished: {path}")
                if config.test and not resumed.tested:
                    finish_test(resumed, config)
                return resumed
        ready = prepared(config, path, resumed)
        folder = claimed(path, identity, ready, resumed)
        with folder.hold(), log_to(folder.log):
            with failure_recorded(folder), interruptible():
                begin(folder, ready, overrides)
                trained = fitted(folder, ready)
                test_and_write(folder, ready.config, ready.parts, ready.trainer, ready.table, trained)
            ended(folder, ready)
    return folder


def of_resumed(resumed: RunFolder, recorded: Config, given: RunConfig, overrides: list[str]) -> RunConfig:
    """The configuration that a run recorded, with what the words may change in it.

    Raises:
        GraftError: it names code that is not trusted, or a word would change what the run computes.
    """
    check_trusted(recorded, given.trust, str(resumed.config))
    of_start = {key: value for key, value in vars(given).items() if key in OF_A_START}
    config = RunConfig.of(continued(resumed, recorded, given.recorded(), overrides))
    return replace(config, **of_start)


def prepared(config: RunConfig, path: Path, resumed: RunFolder | None) -> Prepared:
    """Data, model, Trainer, and whether features are cached.

    Raises:
        GraftError: the data, the weights or the device are not what the configuration says.
    """
    checkpoint = newest(resumed.checkpoints) if resumed else None
    config, parts, processes = prepare(config, resumed)
    if checkpoint is None:
        learn_relation(parts.module, parts.loading, config.trainer)
        measure_maps(parts.module, parts.loading, config.trainer)
    if config.lr_find:
        config = at_found_rates(config, parts)
    trial = config.sweep.trial
    pruning = Pruning(trial, config.sweep.metric) if trial and processes == 1 else None
    purge_step = None if resumed is None else checkpoint.step if checkpoint else 0
    # Pruning goes first, so that what is saved knows whether the run ends.
    first: list[pl.Callback] = [pruning] if pruning else []
    if config.stop_after is not None:
        first.append(PauseAfter(config.stop_after))
    trainer, table = trainer_of(config, path, parts, processes, purge_step, first)
    cached = cache_decision.decide(config, parts, trainer, processes)
    return Prepared(config, parts, processes, trainer, table, cached, checkpoint, pruning)


def claimed(path: Path, identity: str, ready: Prepared, resumed: RunFolder | None) -> RunFolder:
    """The run's folder, which from here on is this run's alone.

    Raises:
        GraftError: the folder is another run's, or the images are no longer those of the run that goes on.
    """
    if resumed is None:
        return RunFolder.claim(path, fingerprint=identity)
    data, splits = ready.parts.loading.data, ready.parts.loading.splits
    check_same_images(resumed, data, splits)
    resumed.take_up()
    # An older Graft recorded no digests.
    write_csv(resumed.split, recorded_rows(data, splits))
    return resumed


def begin(folder: RunFolder, ready: Prepared, overrides: list[str]) -> None:
    """Record how the run begins or goes on, and say it."""
    loading, checkpoint = ready.parts.loading, ready.checkpoint
    say("\n".join([loading.splits.describe(), *loading.data.notes]))
    if (target := ready.parts.target) is not None:
        say("\n".join([f"target {target.splits.describe()}", *target.data.notes]))
    if checkpoint is None:
        record_start(folder, ready.config, overrides, ready.parts)
    else:
        write_yaml(folder.config, ready.config.recorded())
        say(f"goes on after step {checkpoint.step}")
    for line in filter(None, [*ready.config.notes, ready.cached.line]):
        say(line)
    show_training_images(folder, ready.parts, ready.trainer, checkpoint is not None)


def fitted(folder: RunFolder, ready: Prepared) -> Trained:
    """The model, solved or trained."""
    config, parts, checkpoint = ready.config, ready.parts, ready.checkpoint
    ready.cached.put_in(parts.loading)
    before = None if parts.target is None else shown(parts.module.backbone, parts.loading, config.trainer)
    if config.solves:
        assert ready.cached.cache is not None
        return solve_head(folder, config, parts, ready.trainer, ready.cached.cache)._replace(before=before)
    weights = checkpoint.path if checkpoint else None
    with together(ready.processes, folder, weights):
        seconds = fit(config, parts, ready.trainer, weights)
    seconds += checkpoint.seconds if checkpoint else 0
    return best_of(folder, config, parts, ready.trainer, seconds)._replace(before=before)


def ended(folder: RunFolder, ready: Prepared) -> None:
    """Say what came out."""
    pruned = {"pruned": ready.pruning.after} if ready.pruning and ready.pruning.after else {}
    folder.set_status("finished", **pruned)
    show_result(folder)


@contextmanager
def failure_recorded(folder: RunFolder) -> Iterator[None]:
    """Within the block, what stops the run is recorded in its folder before it goes on its way."""
    try:
        yield
    except (KeyboardInterrupt, Terminated) as stop:
        folder.set_status("interrupted", reason=stop.reason if isinstance(stop, Terminated) else "Ctrl-C")
        how = "paused" if isinstance(stop, Paused) else "interrupted"
        say(f"{how}; graft train resume={folder.path} goes on")
        if isinstance(stop, Terminated) and stop.requeue:
            slurm.requeue()
        raise
    except BaseException as error:
        folder.set_status("failed", reason=reason_of(error))
        keep(traceback.format_exc())
        raise
