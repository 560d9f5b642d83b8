"""`graft train`: the story of one run, from a checked configuration to a run folder."""

import time
import traceback
from contextlib import nullcontext
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import FSDPStrategy
from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]
from rich.console import Console
from rich.table import Table

from graft.building import check_trusted, one_line
from graft.data import ImageDataModule, split_rows
from graft.errors import GraftError, reason_of
from graft.freezing.apply import FreezeCallback, changes
from graft.freezing.lora import merge
from graft.freezing.table import freeze_table, printed
from graft.reporting import model_card
from graft.runs import RunFolder, slurm
from graft.runs.environment import describe_environment
from graft.runs.files import read_csv, write_csv, write_json, write_text, write_yaml
from graft.runs.fingerprint import fingerprint
from graft.runs.launch import launched
from graft.runs.log import keep, log_to, say
from graft.runs.resuming import continued, find_run
from graft.schema import flatten
from graft.training import (
    Bundle,
    HowTested,
    TransferModule,
    assembly,
    cache_decision,
    pictures,
    ranks,
    save_bundle,
    tensorboard,
)
from graft.training.checkpoint_files import LAST, load_checked, newest
from graft.training.epoch_table import EpochTable
from graft.training.interruption import Terminated, interruptible
from graft.training.later_test import test_later
from graft.training.lr_finder import found_factor, scaled
from graft.training.progress import progress_bar
from graft.training.pruning import Pruning
from graft.training.random_state import random_state, set_random_state
from graft.training.relation import learn_relation
from graft.training.testing import prediction_rows, test, tested_module
from graft.training.threads import kept_threads, threads

Config = dict[str, Any]


def run(config: Config, path: Path, overrides: list[str]) -> RunFolder:
    """Train as `config` says; everything that the run leaves stands in the folder `path`.

    Until training can start nothing is written, so a mistake leaves no folder behind. With `config["resume"]`
    the run of that folder goes on in it, by its own configuration.

    Args:
        config: resolved and checked.
        path: becomes the run folder.
        overrides: the words that led to `config`, for the record.

    Raises:
        GraftError: the data, the weights or the device are not what the configuration says.
    """
    resumed = find_run(config["resume"]) if config.get("resume") else None
    config = {"sweep": {}, **config}
    # From here on, so that nothing of the run changes once it is read.
    with resumed.hold() if resumed else nullcontext(), kept_threads():
        return train(config, path, overrides, resumed)


def train(config: Config, path: Path, overrides: list[str], resumed: RunFolder | None) -> RunFolder:
    """As `run`; `resumed` is the run to go on with, which no other process goes on with meanwhile."""
    trust, search, asked = config.get("trust", []), config["sweep"], fingerprint(config)
    config = {key: value for key, value in config.items() if key not in ("resume", "trust", "sweep")}
    at = None
    if resumed is not None:
        path, before = resumed.path, resumed.read_config()
        check_trusted(before, trust, str(resumed.config))
        config = continued(resumed, config, overrides)
        if resumed.status()["status"] == "finished" and not _longer(config, before):
            say(f"already finished: {path}")
            if config["test"] and not resumed.tested:
                test_later(resumed, config, trust)
            return resumed
        at = newest(resumed.checkpoints)
    config, parts, size = prepare(config)
    if at is None:
        learn_relation(parts.module, parts.loading, config["trainer"])
    if config["lr_find"]:
        before_search = random_state()
        factor = found_factor(parts.module, parts.loading, parts.strategy, config["trainer"])
        set_random_state(before_search)
        # What is recorded is what was found: the run can be repeated and resumed without another search.
        config = {**config, "lr_find": False, "optimizer": scaled(config["optimizer"], factor)}
        rates = ", ".join(f"optimizer.{key}={config['optimizer'].get(key)}" for key in ("lr", "head_lr"))
        print(f"lr_find: {rates}", flush=True)
        parts.module.groups = parts.module.grouped(assembly.rates(config))
    trainer, table = make_trainer(
        config, path, parts, size, None if resumed is None else at.step if at else 0
    )
    pruning = None
    if search.get("trial") and size == 1:
        pruning = Pruning(search["trial"], search["metric"])
        # Before those that save, so that what they save knows whether the run ends.
        trainer.callbacks.insert(0, pruning)  # type: ignore[attr-defined]
    cached = cache_decision.decide(config, *parts, trainer, size)

    if resumed is not None:
        check_same_split(resumed, parts.loading)
        resumed.take_up()
    folder = resumed or RunFolder.claim(path, fingerprint=asked)
    with folder.hold(), log_to(folder.log):
        try:
            with interruptible():
                say("\n".join([parts.loading.splits.describe(), *parts.loading.data.notes]))
                if at is None:
                    record_start(folder, config, overrides, parts)
                else:
                    write_yaml(folder.config, config)
                    say(f"goes on after step {at.step}")
                if cached.line:
                    say(cached.line)
                show_training_images(folder, parts, trainer, at is not None)
                parts.loading.cache = cached.cache
                with ranks.together(size, folder, at and at.path):
                    seconds = fit(config, parts, trainer, at and at.path) + (at.seconds if at else 0.0)
                test_and_write(folder, config, parts, trainer, table, seconds)
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
    config, parts, size = prepare(folder.read_config())
    trainer, _ = make_trainer(config, folder.path, parts, size, None)
    with interruptible():
        if not launched():
            ranks.join_started()
        fit(config, parts, trainer, checkpoint)


def follow_announced() -> None:
    """Wait until the first of the processes that a launcher has started announces a run, and follow it."""
    ranks.meet()
    if run := ranks.announced():
        follow(*run)


class Parts(NamedTuple):
    """What a run is made of, the same in all of its processes."""

    loading: ImageDataModule
    module: TransferModule
    strategy: Any


def prepare(config: Config) -> tuple[Config, Parts, int]:
    """Open the data and build the model.

    Returns:
        The configuration with what this machine had to say, the parts, and how many processes train together.

    Raises:
        GraftError: the data, the weights or the device are not what the configuration says.
    """
    assembly.check_device(config["trainer"]["accelerator"])
    assembly.check_precision(config["trainer"])
    size = ranks.count(config["trainer"])
    # Recorded, because a run that goes on with another number may round otherwise.
    config = {**config, "threads": threads(config["threads"], size // config["trainer"].get("num_nodes", 1))}
    torch.set_num_threads(config["threads"])
    pl.seed_everything(config["seed"], workers=True, verbose=False)
    data = assembly.open_data(config["data"])
    config = assembly.located(config)
    splits = assembly.split_data(config["data"], data)
    assembly.check_validation(config, len(splits["val"]) > 0)
    assembly.check_processes(config, size, splits)
    backbone = assembly.make_backbone(config)
    loading = assembly.make_loading(config, data, splits, backbone.preprocessing)
    strategy = assembly.make_strategy(config, backbone)
    return config, Parts(loading, assembly.make_module(config, backbone, loading, strategy), strategy), size


def make_trainer(
    config: Config, path: Path, parts: Parts, size: int, purge_step: int | None
) -> tuple[pl.Trainer, EpochTable]:
    """The Trainer of one of `size` processes, and the logger that keeps the epochs' numbers.

    Raises:
        GraftError: the Trainer refuses its settings.
    """
    table = EpochTable(RunFolder(path).epochs)
    validated = len(parts.loading.splits["val"]) > 0
    callbacks = [FreezeCallback(parts.strategy), *assembly.make_callbacks(config, path, validated)]
    loggers = [*assembly.make_loggers(config, path, purge_step), table]
    moves = changes(parts.strategy, parts.module.backbone.stages, config["trainer"]["max_epochs"])
    return assembly.make_trainer(config, path, callbacks, loggers, size=size, changes=moves), table


def check_same_split(resumed: RunFolder, loading: ImageDataModule) -> None:
    """Refuse to go on where the data no longer gives the split that the run has recorded.

    Raises:
        GraftError: names the first image that differs.
    """
    if not resumed.split.is_file():
        return
    now = [
        {key: str(value) for key, value in row.items()} for row in split_rows(loading.data, loading.splits)
    ]
    for row, recorded in zip_longest(now, read_csv(resumed.split)):
        if row != recorded:
            name = (recorded or row or {}).get("name")
            raise GraftError(f"data: the split is no longer that of {resumed.split}, first at {name}")


def _longer(config: Config, before: Config) -> bool:
    longer: bool = config["trainer"]["max_epochs"] > before["trainer"]["max_epochs"]
    return longer


def record_start(folder: RunFolder, config: Config, overrides: list[str], parts: Parts) -> None:
    """Write what is known before the first step, and say what trains."""
    loading, module = parts.loading, parts.module
    write_yaml(folder.config, config)
    # Not the words that a run killed before its first checkpoint is resumed with.
    if not folder.overrides.is_file():
        write_yaml(folder.overrides, overrides)
    record = {"threads": config["threads"], "data": asdict(loading.facts)}
    write_json(folder.environment, {**describe_environment(), **record})
    write_csv(folder.split, split_rows(loading.data, loading.splits))
    epochs = config["trainer"]["max_epochs"]
    rows = freeze_table(parts.strategy, module.backbone.stages, module.head, module.groups, epochs)
    write_csv(folder.freeze, rows)
    Console().print(printed(rows))
    *backbone, head = rows
    trains, there = (sum(row[key] for row in backbone) for key in ("trainable", "parameters"))
    say(f"trains {trains:,} of the backbone's {there:,} parameters and the head's {head['parameters']:,}")
    waits = config["freeze"].get("at", config["freeze"].get("epochs"))
    if isinstance(waits, int) and waits >= epochs:
        say(f"warning: the backbone would begin to train after epoch {waits}, but there are {epochs}")
    if trains < there and "weights" in config["backbone"] and config["backbone"]["weights"] is None:
        say("warning: what is frozen was never trained (backbone.weights=null), so its features are random")


def show_training_images(folder: RunFolder, parts: Parts, trainer: pl.Trainer, resumed: bool) -> None:
    """Keep a picture of what the first batch looks like to the network."""
    images = parts.loading.first_images()[:32]
    grid = pictures.image_grid(images, parts.module.backbone.preprocessing)
    pictures.save_figure(pictures.picture_of(grid), folder.figures / "training_images.png")
    if not resumed:
        tensorboard.add_image(trainer.loggers, "training images", grid)


def fit(config: Config, parts: Parts, trainer: pl.Trainer, checkpoint: Path | None) -> float:
    """Train, in each of the run's processes, from `checkpoint` on if given; says the seconds that it took.

    Raises:
        GraftError: Lightning refuses the settings, or the processes differ.
    """
    loading = parts.loading
    if ranks.size() > 1:
        ranks.check_same(config, asdict(loading.facts))
        # The processes draw apart, as the images of one process's batch do; weights are rank 0's.
        pl.seed_everything((config["seed"] + ranks.rank()) % 2**32, workers=True, verbose=False)
    if config["compile"]:
        # In place, so that the names of the weights stay as they are.
        parts.module.compile()
    started = time.perf_counter()
    try:
        trainer.fit(parts.module, datamodule=loading, ckpt_path=checkpoint, weights_only=True)
    except MisconfigurationException as error:
        raise GraftError(f"trainer: {one_line(error)}") from error
    return time.perf_counter() - started


def test_and_write(
    folder: RunFolder, config: Config, parts: Parts, trainer: pl.Trainer, table: EpochTable, seconds: float
) -> None:
    """Test the best epoch's weights once, in one process, unless `test` says later; write what came out."""
    loading, module = parts.loading, parts.module
    if isinstance(trainer.strategy, FSDPStrategy):
        # Of its own weights each process has a part alone; the whole ones stand in the checkpoint.
        module = prepare(config)[1].module
        module.load_state_dict(load_checked(folder.checkpoints / LAST)["state_dict"])
    best_epoch = load_best(trainer, module)
    tested = best_epoch if best_epoch is not None else trainer.current_epoch - 1

    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    merge(module.backbone)
    class_names, preprocessing = loading.data.class_names, module.backbone.preprocessing
    how = HowTested(loading.batch_size, config["trainer"]["precision"], config["channels_last"])
    bundle = Bundle(module.backbone, module.head, class_names, preprocessing, how)
    save_bundle(folder.bundle, bundle, config)

    result = None
    if config["test"]:
        tester = trainer if trainer.world_size == 1 else alone(config, folder, trainer)
        result = test(tester, tested_module(bundle), loading.test_dataloader())
    row = {key: value for key, value in table.row(tested).items() if key.startswith("val/")}
    metrics = {
        **row,
        **(result.metrics if result else {}),
        "epoch": tested,
        "seconds": round(seconds, 3),
        "trainable_parameters": trainable,
    }
    write_json(folder.metrics_file, metrics)
    pictures.save_figure(pictures.learning_curves(table.rows, tested), folder.figures / "learning_curves.png")
    if result:
        write_csv(folder.predictions, prediction_rows(result, loading.data))
        confusion = pictures.confusion_figure(result.confusion, class_names)
        pictures.save_figure(confusion, folder.figures / "confusion_matrix.png")
        tensorboard.add_figure(trainer.loggers, "confusion matrix", confusion)
    tensorboard.add_hyperparameters(trainer.loggers, flatten(config), metrics)
    for logger in trainer.loggers:
        logger.finalize("success")
    write_text(folder.bundle / "README.md", model_card(config, class_names, metrics))


def alone(config: Config, folder: RunFolder, trainer: pl.Trainer) -> pl.Trainer:
    """A Trainer like this one, for its first process without the others, on the same device."""
    device = trainer.strategy.root_device
    own = {"devices": 1 if device.index is None else [device.index], "num_nodes": 1}
    lone = {**config, "trainer": {**config["trainer"], **own}}
    return assembly.make_trainer(lone, folder.path, [progress_bar()], trainer.loggers)


def load_best(trainer: pl.Trainer, module: TransferModule) -> int | None:
    """Put the weights with the best validation into the module; says their epoch, or None without any."""
    kept: list[Any] = trainer.checkpoint_callbacks
    best = next((callback.best_model_path for callback in kept if getattr(callback, "monitor", None)), None)
    if not best:
        return None
    checkpoint = load_checked(Path(best))
    module.load_state_dict(checkpoint["state_dict"])
    return int(checkpoint["epoch"])


def show_result(folder: RunFolder) -> None:
    """Print one table and, last, the run's path."""
    metrics = folder.metrics
    table = Table("metric", "validation", "test", box=None)
    for key in ("accuracy", "precision_macro", "recall_macro", "f1_macro", "loss"):
        cells = (metrics.get(f"{part}/{key}") for part in ("val", "test"))
        table.add_row(key, *("–" if value is None else f"{value:.4f}" for value in cells))
    Console().print(table)
    where = folder.path.relative_to(Path.cwd()) if folder.path.is_relative_to(Path.cwd()) else folder.path
    done = "tested" if folder.tested else "kept, not tested,"
    say(f"{done} the weights of epoch {metrics['epoch'] + 1}, after {metrics['seconds']:.0f} s of training")
    say(str(where))
