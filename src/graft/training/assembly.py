"""From a resolved configuration to the parts of a run: data, model, trainer."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor

from graft.backbones import Backbone, Preprocessing
from graft.building import build, build_later
from graft.data import LOADING_KEYS, ImageData, ImageDataModule, Splits, split
from graft.errors import GraftError
from graft.regularization import CoTuning
from graft.training import ranks
from graft.training.checkpoint_files import CheckedIO
from graft.training.distillation import make_distillation
from graft.training.module import TransferModule
from graft.training.source_head import source_head
from graft.training.unprofiled import Unprofiled

Config = Mapping[str, Any]
# Loggers that can drop what was logged after the checkpoint that a run goes on from.
PURGING = ("TensorBoardLogger", "graft.training.StepTable")


def open_data(data: Config) -> ImageData:
    """Open the images that the `data` node names; which of them train is not decided here.

    Raises:
        GraftError: there is nothing usable there.
    """
    source = {key: value for key, value in data.items() if key not in LOADING_KEYS}
    opened = build(source, "data")
    if not isinstance(opened, ImageData):
        raise GraftError(f"data: {data['_target_']} gave {type(opened).__name__}, not graft.data.ImageData")
    return opened


def located(config: Config) -> dict[str, Any]:
    """The configuration with paths made absolute, so that what is recorded holds in any working folder."""
    found = {group: dict(node) if isinstance(node, Mapping) else node for group, node in config.items()}
    paths = ("data.root", "data.file", "backbone.weights", "distill.teacher", "cache.dir")
    for group, key in (path.split(".") for path in paths):
        value = found[group].get(key)
        if isinstance(value, str) and (path := Path(value).expanduser()).exists():
            found[group][key] = str(path.absolute())
    return found


def split_data(data: Config, opened: ImageData) -> Splits:
    """Give every image its split, as the `data` node says; what a user's own node leaves out has defaults."""
    keys = ("val_fraction", "test_fraction", "shots", "fraction")
    return split(opened, **{key: data[key] for key in keys if key in data}, seed=data.get("split_seed", 0))


def make_loading(
    config: Config, data: ImageData, splits: Splits, preprocessing: Preprocessing
) -> ImageDataModule:
    """The LightningDataModule of a run."""
    return ImageDataModule(
        data,
        splits,
        preprocessing,
        build_later(config["augment"], "augment"),
        batch_size=config["data"].get("batch_size", 32),
        num_workers=config["data"].get("num_workers"),
        seed=config["seed"],
        # A word that YAML reads as false.
        cache_images=config["data"].get("cache_images", "auto") or "off",
    )


def make_backbone(config: Config) -> Backbone:
    """The backbone with its weights.

    Raises:
        GraftError: the weights cannot be had, or do not fit.
    """
    backbone = build(config["backbone"], "backbone")
    if not isinstance(backbone, Backbone):
        target = config["backbone"]["_target_"]
        raise GraftError(f"backbone: {target} gave {type(backbone).__name__}, not graft.backbones.Backbone")
    return backbone


def backbone_name(config: Config) -> str:
    """What the backbone of a configuration is called."""
    node = config["backbone"]
    return str(node.get("name") or node["_target_"].rpartition(".")[2])


def make_strategy(config: Config, backbone: Backbone) -> Any:
    """The freeze strategy, which may add adapters to the backbone.

    Raises:
        GraftError: the strategy does not fit the backbone.
    """
    strategy = build(config["freeze"], "freeze")
    if hasattr(strategy, "prepare"):
        strategy.prepare(backbone.stages)
    return strategy


def make_module(
    config: Config, backbone: Backbone, loading: ImageDataModule, strategy: Any = None
) -> TransferModule:
    """The LightningModule: the backbone with a new head, and how both are trained.

    Args:
        config: the resolved configuration.
        backbone: from `make_backbone`.
        loading: says how many classes there are, and which images train.
        strategy: from `make_strategy`.
    """
    classes = len(loading.data.class_names)
    train_labels = loading.data.images.labels[loading.splits["train"]]
    head = build_later(config["head"], "head")(backbone.width, classes)
    regularizer = build(config["regularizer"], "regularizer")
    if isinstance(regularizer, CoTuning):
        regularizer.adopt(source_head(backbone, config["backbone"].get("weights")), backbone.width, classes)
    optimizer = make_optimizer(config)
    module = TransferModule(
        backbone,
        head,
        classes=classes,
        optimizer=optimizer,
        schedule=build_later(config["scheduler"], "scheduler"),
        rates=rates(config),
        strategy=strategy,
        label_smoothing=config["loss"]["label_smoothing"],
        class_weights=class_weights(config["loss"]["class_weights"], train_labels, classes),
        mix=build_later(config["mix"], "mix")(classes),
        distill=make_distillation(config["distill"], backbone.preprocessing, loading.data.class_names),
        channels_last=config["channels_last"],
        regularizer=regularizer,
    )
    # Once for nothing, so that wrong settings are told before the run has a folder.
    optimizer([dict(group) for group in module.groups])
    return module


def make_optimizer(config: Config) -> Any:
    """What makes the optimizer from parameter groups; where `fused` is null, a fused one on a CUDA GPU."""
    own = {key: value for key, value in config["optimizer"].items() if key not in ("head_lr", "layer_decay")}
    trainer = config["trainer"]
    cuda = trainer["accelerator"] in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    # PyTorch fuses neither of the first two, and Lightning clips no gradients that a fused step unscales.
    excluded = own.get("foreach") or own.get("differentiable") or trainer["gradient_clip_val"] is not None
    if cuda and not excluded and "fused" in own and own["fused"] is None:
        own["fused"] = True
    return build_later(own, "optimizer")


def rates(config: Config) -> dict[str, Any]:
    """What `parameter_groups` wants of the optimizer's settings; a user's own node may leave some out."""
    defaults = {"lr": None, "head_lr": None, "weight_decay": 0.0, "layer_decay": 1.0}
    return {key: config["optimizer"].get(key, default) for key, default in defaults.items()}


def class_weights(wanted: str | Sequence[float] | None, labels: np.ndarray, classes: int) -> Tensor | None:
    """`(C,)` loss weights: none, those given, or `balanced`: N / (C · n_c), as scikit-learn defines it.

    Raises:
        GraftError: the list given has not one number a class.
    """
    if wanted is None:
        return None
    if wanted == "balanced":
        counts = np.bincount(labels, minlength=classes).clip(min=1)
        return torch.tensor(len(labels) / (classes * counts), dtype=torch.float32)
    if len(wanted) != classes:
        raise GraftError(f"loss.class_weights has {len(wanted)} numbers, but there are {classes} classes")
    return torch.tensor([float(weight) for weight in wanted], dtype=torch.float32)


def make_callbacks(config: Config, folder: Path, validated: bool) -> list[pl.Callback]:
    """The configured callbacks; where nothing validates, without the checkpoint of the best validation."""
    nodes = config["callbacks"].items()
    return [
        build(_inside(node, folder), f"callbacks.{name}")
        for name, node in nodes
        if validated or not str(node.get("monitor") or "").startswith("val/")
    ]


def make_loggers(config: Config, folder: Path, purge_step: int | None = None) -> list[Any]:
    """The configured loggers, writing inside the run folder.

    Args:
        config: the resolved configuration.
        folder: the run folder.
        purge_step: where a resumed run goes on: loggers drop what they were told from this step on.
    """
    made = []
    for name, node in config["logger"].items():
        purged = str(node["_target_"]).endswith(PURGING) and purge_step is not None
        extra = {"purge_step": purge_step} if purged else {}
        made.append(build(_inside(node, folder), f"logger.{name}", **extra))
    return made


def make_trainer(
    config: Config,
    folder: Path,
    callbacks: list[pl.Callback],
    loggers: list[Any],
    *,
    size: int = 1,
    changes: bool = False,
) -> pl.Trainer:
    """Lightning's Trainer with Graft's callbacks and loggers.

    Args:
        config: the resolved configuration.
        folder: the run folder.
        callbacks: from `make_callbacks`, and more.
        loggers: from `make_loggers`, and more.
        size: how many processes train together, this one among them.
        changes: whether what trains is not the same in all epochs.

    Raises:
        GraftError: the Trainer refuses its settings.
    """
    quiet_lightning()
    settings = dict(config["trainer"])
    settings["profiler"] = settings.get("profiler") or Unprofiled()
    if size == 1:
        settings["strategy"] = "auto"
    elif settings["strategy"] == "fsdp":
        if changes:
            raise GraftError(
                "trainer=fsdp wants what trains to be the same in all epochs; trainer=ddp does not"
            )
    else:
        # To look for parameters without a gradient costs a walk over the graph in each step.
        settings["strategy"] = DDPStrategy(find_unused_parameters=changes)
    trainer = build_later(settings, "trainer")(
        callbacks=callbacks,
        logger=loggers,
        default_root_dir=folder,
        plugins=[CheckedIO(), *ranks.environment()],
        # The data module gives each process its share.
        use_distributed_sampler=False,
        enable_checkpointing=any(isinstance(callback, pl.callbacks.Checkpoint) for callback in callbacks),
        enable_progress_bar=any(isinstance(callback, pl.callbacks.ProgressBar) for callback in callbacks),
    )
    assert isinstance(trainer, pl.Trainer)
    return trainer


def check_validation(config: Config, validated: bool) -> None:
    """Refuse what waits for a validation metric where nothing validates.

    Raises:
        GraftError: names the option and the way out.
    """
    waiting = {f"callbacks.{name}": node.get("monitor") for name, node in config["callbacks"].items()}
    waiting = {key: monitor for key, monitor in waiting.items() if _stops(config, key)}
    if config["scheduler"]["_target_"] == "graft.optim.plateau":
        waiting["scheduler=plateau"] = "val/loss"
    if waiting and not validated:
        key, monitor = next(iter(waiting.items()))
        raise GraftError(
            f"{key} watches {monitor}, but nothing validates (data.val_fraction=0); give one or the other up"
        )


def _stops(config: Config, key: str) -> bool:
    node = config["callbacks"][key.removeprefix("callbacks.")]
    return bool(node["_target_"].endswith("EarlyStopping")) and str(node.get("monitor")).startswith("val/")


def check_device(accelerator: str, key: str = "trainer.accelerator") -> None:
    """Refuse an accelerator that this machine lacks.

    Args:
        accelerator: as Lightning names it.
        key: where it was asked for.

    Raises:
        GraftError: names what was asked for and what works.
    """
    there = {
        "gpu": torch.cuda.is_available() or torch.backends.mps.is_available(),
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(accelerator, True):
        raise GraftError(f"{key}={accelerator}: no such device is found here; {key}=cpu works")


def check_processes(config: Config, size: int, splits: Splits) -> None:
    """Refuse what several processes cannot share.

    Args:
        config: the resolved configuration.
        size: how many processes train together.
        splits: what they share.

    Raises:
        GraftError: names the key and what is right.
    """
    batch, trainer = config["data"].get("batch_size", 32), config["trainer"]
    if batch % size:
        raise GraftError(
            f"data.batch_size={batch} is the batch of all {size} processes together; it must be a multiple "
            f"of {size}"
        )
    training, validating = len(splits["train"]), len(splits["val"])
    if size > 1 and (training < 2 * size or 0 < validating < size):
        raise GraftError(
            f"data: {training} images to train on and {validating} to validate are too few for "
            f"{size} processes"
        )
    if size > 1 and trainer.get("overfit_batches"):
        raise GraftError("trainer.overfit_batches is for one process; give trainer.devices=1")
    if trainer.get("sync_batchnorm") and not torch.cuda.is_available():
        raise GraftError("trainer.sync_batchnorm=true works on GPUs only")


def check_precision(trainer: Config) -> None:
    """Refuse half precision without a GPU, where Lightning would quietly take another.

    Raises:
        GraftError: names what works.
    """
    if str(trainer["precision"]).startswith("16") and not torch.cuda.is_available():
        raise GraftError(
            f"trainer.precision={trainer['precision']} needs a GPU; on a CPU use trainer.precision=bf16-mixed"
        )


def quiet_lightning() -> None:
    """Silence advice that does not apply: what it asks for is decided here, and said in the documentation."""
    import logging

    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in (
        "The '.*_dataloader' does not have many workers",  # on few cores none is faster
        "The number of training batches .* is smaller than the logging interval",  # curves are by epoch
        "You defined a `validation_step` but have no `val_dataloader`",  # data.val_fraction=0
        "Total length of `list` across ranks is zero",  # the same
        "GPU available but not used",
        r"Found .* module\(s\) in eval mode at the start of training",  # what is frozen is
        "You requested to overfit but enabled train dataloader shuffling",  # it is turned off, as it should
        "Checkpoint directory .* exists and is not empty",  # the second callback finds the first one's
        "You're resuming from a checkpoint that ended before the epoch ended",  # the order of images knows
        "Trying to infer the `batch_size`",
        "Glyph .* missing from font",  # names of classes in scripts that matplotlib's font lacks
        "The `srun` command is available",
        "It is recommended to use `self.log\\(.*sync_dist=True\\)`",  # all is pooled before it is logged
        ".*isinstance\\(treespec, LeafSpec\\).*",  # Lightning 2.6 with torch 2.15
    ):
        warnings.filterwarnings("ignore", message)


def _inside(node: Config, folder: Path) -> dict[str, Any]:
    """The node with its folder taken to be inside the run folder."""
    folders = {key: str(folder / node[key]) for key in ("dirpath", "save_dir") if node.get(key)}
    return {**node, **folders}
