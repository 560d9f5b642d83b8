"""The end of a run: its best weights tested once, and what came out written and shown."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies import FSDPStrategy
from rich.table import Table

from graft.configuration.metric_names import ASSESSED
from graft.configuration.paths import from_here
from graft.configuration.run_config import RunConfig
from graft.configuration.schema import flatten
from graft.evaluation.assessment import Metrics, spelled
from graft.freezing.apply import apply
from graft.freezing.lora import merge
from graft.models.bundle import Bundle, HowTested
from graft.models.bundle_files import save_bundle
from graft.models.known import Known
from graft.models.lineage import seen_among, seen_by
from graft.reporting import model_card, pictures
from graft.reporting.console import PlainConsole
from graft.reporting.few import few_errors
from graft.reporting.loggers import tensorboard, tracking
from graft.reporting.loggers.epoch_table import EpochTable
from graft.runs import RunFolder
from graft.runs.bundles import BundleFolder
from graft.runs.files import write_figure, write_json, write_text
from graft.runs.log import say
from graft.runs.recorded import swept
from graft.training.adapting import AdaptingModule
from graft.training.assembly import Parts, prepare
from graft.training.callbacks.checkpoint_files import LAST, load_checked
from graft.training.callbacks.progress import progress_bar
from graft.training.domain_figure import Shown, domain_figure, shown
from graft.training.knowing import settle
from graft.training.module import TransferModule
from graft.training.target_test import oracle_of, seen_of, test_on_target
from graft.training.testing import calibration_line, run_test, tested_module, write_test
from graft.training.trainer import make_trainer


class Trained(NamedTuple):
    """How training ended.

    Attributes:
        module: with the weights that are kept.
        epoch: of these weights, from 0.
        seconds: how long it took.
        penalty: of a head that was solved.
        before: what the backbone made of samples of two domains before it trained.
        known: of a head that was solved without validation, what says that a sample is none of the classes.
    """

    module: TransferModule
    epoch: int
    seconds: float
    penalty: float | None = None
    before: Shown | None = None
    known: Known | None = None


def test_and_write(
    folder: RunFolder,
    config: RunConfig,
    parts: Parts,
    trainer: pl.Trainer,
    table: EpochTable,
    trained: Trained,
) -> None:
    """Test the weights once, in one process, unless `test` says later; write what came out."""
    loading, module, target = parts.loading, trained.module, parts.target
    if isinstance(module, AdaptingModule):
        module.settle()
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    merge(module.backbone)
    class_names, preprocessing = loading.data.class_names, module.backbone.preprocessing
    how = HowTested(loading.evaluation_size, config.trainer["precision"], config.channels_last)
    levels, seen = loading.data.levels, seen_by(config, loading.data, loading.splits)
    if target is not None:
        seen = seen.with_(seen_of(target))
    bundle = Bundle(module.backbone, module.head, class_names, preprocessing, how, levels=levels, seen=seen)
    in_order = loading.cache.in_test if loading.cache else loading.ordered_loader
    settle(
        bundle,
        loading,
        in_order,
        alone(config, folder, trainer, []),
        calibrates=config.calibrate,
        score=config.known,
        crossed=trained.known,
    )
    save_bundle(folder.bundle, bundle, config.recorded())

    tested: Metrics = {}
    if config.test:
        tester = trainer if trainer.world_size == 1 else alone(config, folder, trainer, trainer.loggers)
        result = run_test(tester, tested_module(bundle), in_order("test"))
        temperature = bundle.temperature if config.calibrate else None
        tested = write_test(folder, result, loading.data, temperature, bundle.known)
        tested |= seen_among(seen, loading.data, loading.splits["test"])
        if target is not None:
            assert loading.beside is not None
            tested |= test_on_target(folder, target, loading.beside, bundle, tester, temperature)
    validated = {key: value for key, value in table.row(trained.epoch).items() if key.startswith("val/")}
    metrics = {
        **validated,
        **tested,
        **oracle_of(table.rows, trained.epoch),
        "epoch": trained.epoch,
        "seconds": round(trained.seconds, 3),
        "trainable_parameters": trainable,
        **({} if trained.penalty is None else {"penalty": trained.penalty}),
    }
    write_json(folder.metrics_file, metrics)
    if trained.penalty is None:
        write_figure(folder.curves_figure, pictures.learning_curves(table.rows, trained.epoch))
    if target is not None and trained.before is not None:
        after = shown(module.backbone, loading, config.trainer)
        labels = loading.data.samples.labels
        write_figure(
            folder.domains_figure, domain_figure(trained.before, after, labels, target.labels, class_names)
        )
        tensorboard.add_figure(trainer.loggers, "domains", folder.domains_figure)
    if config.test:
        tensorboard.add_figure(trainer.loggers, "confusion matrix", folder.confusion_figure)
    tensorboard.add_hyperparameters(trainer.loggers, flatten(config.recorded()), metrics, swept(folder))
    tracking.record(trainer.loggers, flatten(config.recorded()), metrics, folder.drawn)
    tracking.end(trainer.loggers)
    kind = loading.data.kind
    card = model_card(config.recorded(), class_names, metrics, kind.noun, kind.plural)
    write_text(BundleFolder(folder.bundle).card, card)


def alone(config: RunConfig, folder: RunFolder, trainer: pl.Trainer, loggers: list[Logger]) -> pl.Trainer:
    """A Trainer like this one, for its first process without the others, on the same device."""
    device = trainer.strategy.root_device
    device_keys = {"devices": 1 if device.index is None else [device.index], "num_nodes": 1}
    lone = replace(config, trainer={**config.trainer, **device_keys})
    return make_trainer(lone, folder.path, [progress_bar()], loggers)


def best_of(
    folder: RunFolder, config: RunConfig, parts: Parts, trainer: pl.Trainer, seconds: float
) -> Trained:
    """What Lightning's fit leaves: the epoch with the best validation, or the last one."""
    module = parts.module
    if isinstance(trainer.strategy, FSDPStrategy):
        # Each process has only a part of the weights; the checkpoint has all.
        module = prepare(config)[1].module
        module.load_state_dict(load_checked(folder.checkpoints / LAST)["state_dict"])
        # What trains there is the same in all epochs.
        apply(parts.plan, module.backbone.stages, 0)
    best = load_best(trainer, module)
    return Trained(module, trainer.current_epoch - 1 if best is None else best, seconds)


def load_best(trainer: pl.Trainer, module: TransferModule) -> int | None:
    """Put the weights with the best validation into the module; says their epoch, or None without any."""
    callbacks: list[Any] = trainer.checkpoint_callbacks
    watching = (callback for callback in callbacks if getattr(callback, "monitor", None))
    best = next((callback.best_model_path for callback in watching), None)
    if not best:
        return None
    checkpoint = load_checked(Path(best))
    module.load_state_dict(checkpoint["state_dict"])
    return int(checkpoint["epoch"])


def show_result(folder: RunFolder) -> None:
    """Print one table and, last, the run's path."""
    metrics = folder.metrics
    table = Table("metric", "validation", "test", "95 % interval", box=None)
    for key in (*ASSESSED, "loss"):
        table.add_row(key, spelled(metrics, f"val/{key}")[0], *spelled(metrics, f"test/{key}"))
    PlainConsole().print(table)
    if "target/accuracy" in metrics:
        of_target = Table("metric", "target", "95 % interval", box=None)
        for key in (*ASSESSED, "loss"):
            of_target.add_row(key, *spelled(metrics, f"target/{key}"))
        PlainConsole().print(of_target)
    if few := few_errors(metrics):
        say(few)
    if "temperature" in metrics:
        say(calibration_line(metrics))
    outcome = "tested" if folder.tested else "kept, not tested,"
    about = f"the weights of epoch {metrics['epoch'] + 1}, after {metrics['seconds']:.0f} s of training"
    if "penalty" in metrics:
        about = f"a head solved in {metrics['seconds']:.1f} s, its penalty {metrics['penalty']:g}"
    say(f"{outcome} {about}")
    say(from_here(folder.path))
