"""From a resolved configuration to the parts of a run: its data and its model."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytorch_lightning as pl
import torch
from torch.optim import Optimizer

from graft.backbones import Backbone
from graft.backbones.preprocessings import AnyPreprocessing
from graft.configuration.building import build, build_later
from graft.configuration.locating import located
from graft.configuration.run_config import Node, RunConfig
from graft.configuration.schema import KEPT_HEAD
from graft.data import SampleData, SampleDataModule, Splits
from graft.data.backbone_for import backbone_for
from graft.data.domains import TargetDomain
from graft.data.mixing import check_mixable
from graft.data.randomness import random_stream
from graft.data.workers import check_workers
from graft.errors import GraftError
from graft.freezing import FreezePlan, FreezeStrategy
from graft.freezing.strategies import Prepares
from graft.models.source_head import kept_head, source_head
from graft.objective import CoTuning
from graft.objective.distillation import make_distillation
from graft.processes import starting
from graft.processes.threads import threads
from graft.runs import RunFolder
from graft.sources.opening import open_data, open_recorded, split_data
from graft.tasks import SingleLabel, Task
from graft.tasks.single_label import class_weights
from graft.training import checks
from graft.training.adapting import AdaptingModule
from graft.training.module import Rates, TransferModule
from graft.training.single_images import check_single_images
from graft.training.target import domain_settings, fingerprint_of, put_beside, recorded_split, target_of


def make_loading(
    config: RunConfig,
    data: SampleData,
    splits: Splits,
    preprocessing: AnyPreprocessing,
    node: Node | None = None,
) -> SampleDataModule:
    """The LightningDataModule of a run; with the node of its target, of that."""
    node = config.data if node is None else node
    return SampleDataModule(
        data,
        splits,
        preprocessing,
        build_later(config.augment, "augment"),
        batch_size=node.get("batch_size", 32),
        num_workers=node.get("num_workers"),
        seed=config.seed,
        # A word that YAML reads as false.
        cache_images=node.get("cache_images", "auto") or "off",
    )


def make_plan(config: RunConfig, backbone: Backbone) -> FreezePlan:
    """The freeze plan; the strategy may add adapters to the backbone first.

    Raises:
        GraftError: the strategy does not fit the backbone, or is none.
    """
    strategy = build(config.freeze, "freeze")
    if not isinstance(strategy, FreezeStrategy):
        target = config.freeze["_target_"]
        raise GraftError(f"freeze: {target} gave {type(strategy).__name__}, which has no method treatment")
    if isinstance(strategy, Prepares):
        strategy.prepare(backbone.stages)
    return FreezePlan(strategy, backbone.stages, config.trainer["max_epochs"], backbone.splits)


def make_task(config: RunConfig, loading: SampleDataModule) -> Task:
    """What is predicted, with the loss that the configuration asks for.

    Raises:
        GraftError: the class weights are not one a class.
    """
    names, loss = loading.data.class_names, config.loss
    labels = loading.data.samples.labels[loading.splits["train"]]
    return SingleLabel(
        names,
        label_smoothing=loss.label_smoothing,
        class_weights=class_weights(loss.class_weights, labels, len(names)),
    )


def make_module(
    config: RunConfig,
    backbone: Backbone,
    loading: SampleDataModule,
    plan: FreezePlan,
    target: TargetDomain | None = None,
) -> TransferModule:
    """The LightningModule: the backbone with its head, and how both are trained."""
    class_names = loading.data.class_names
    classes = len(class_names)
    if config.head["_target_"] == KEPT_HEAD:
        head = kept_head(backbone.width, class_names, config.backbone["weights"], config.trust)
    else:
        with random_stream(config.seed, fingerprint_of(backbone)):
            head = build_later(config.head, "head")(backbone.width, classes)
    regularizer = build(config.regularizer, "regularizer")
    if isinstance(regularizer, CoTuning):
        regularizer.adopt(source_head(backbone, config.backbone.get("weights")), backbone.width, classes)
    if (mix := build_later(config.mix, "mix")(classes)) is not None:
        check_mixable(loading.evaluation.blank(1), loading.data.kind.plural)
    optimizer = None if config.solves else make_optimizer(config)
    adapting = {} if target is None else domain_settings(config, backbone, target, classes)
    module = (AdaptingModule if adapting else TransferModule)(
        backbone,
        head,
        task=make_task(config, loading),
        optimizer=optimizer,
        schedule=build_later(config.scheduler, "scheduler"),
        rates=None if optimizer is None else rates(config.optimizer),
        plan=plan,
        mix=mix,
        distill=make_distillation(config.distill, backbone.preprocessing, class_names),
        channels_last=config.channels_last,
        regularizer=regularizer,
        **adapting,
    )
    # Made once for nothing, so that wrong settings are refused before the run has a folder.
    if optimizer is not None:
        optimizer([dict(group) for group in module.groups])
    return module


def make_optimizer(config: RunConfig) -> Callable[..., Optimizer]:
    """What makes the optimizer from parameter groups; where `fused` is null, a fused one on a CUDA GPU."""
    settings = {
        key: value for key, value in config.optimizer.items() if key not in ("head_lr", "layer_decay")
    }
    trainer = config.trainer
    cuda = trainer["accelerator"] in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    # PyTorch fuses neither of the first two, and Lightning clips no gradients that a fused step unscales.
    clips = trainer.get("gradient_clip_val") is not None
    excluded = settings.get("foreach") or settings.get("differentiable") or clips
    if cuda and not excluded and "fused" in settings and settings["fused"] is None:
        settings["fused"] = True
    return build_later(settings, "optimizer")


def rates(optimizer: Node) -> Rates:
    """What `parameter_groups` wants of the optimizer's settings; a user's own node may have `lr` alone.

    Raises:
        GraftError: it has none.
    """
    if optimizer.get("lr") is None:
        raise GraftError(f"optimizer.lr is missing: {optimizer['_target_']} needs lr in its YAML file")
    return {
        "lr": optimizer["lr"],
        "head_lr": optimizer.get("head_lr"),
        "weight_decay": optimizer.get("weight_decay", 0.0),
        "layer_decay": optimizer.get("layer_decay", 1.0),
    }


class Parts(NamedTuple):
    """What a run is made of, the same in all of its processes.

    Attributes:
        target: the domain that is adapted to, if there is one; what `loading.beside` loads.
    """

    loading: SampleDataModule
    module: TransferModule
    plan: FreezePlan
    target: TargetDomain | None = None


def prepare(config: RunConfig, begun: RunFolder | None = None) -> tuple[RunConfig, Parts, int]:
    """Open the data and build the model.

    A run that has begun has a folder. The split recorded there is used, whatever would be drawn today.

    Returns:
        The configuration with what this machine had to say, the parts, and how many processes train together.

    Raises:
        GraftError: the data, the weights or the device are not what the configuration says.
    """
    checks.check_device(config.trainer["accelerator"])
    checks.check_precision(config.trainer)
    if begun is None:
        checks.check_schedule(config)
    check_workers(config.data.get("num_workers"), key="data.num_workers")
    size = starting.count(config.trainer)
    # Recorded, because a run that goes on with another number may round otherwise.
    computing = threads(config.threads, size // config.trainer.get("num_nodes", 1))
    config = replace(config, threads=computing)
    torch.set_num_threads(computing)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    data = (open_data if begun is None else open_recorded)(config.data)
    target = None if config.target is None else target_of(config.target, data, begun)
    config = located(config)
    if begun is not None and begun.split.is_file():
        splits = recorded_split(begun.split, data)
    else:
        splits = split_data(config.data, data)
    checks.check_validation(config, len(splits["val"]) > 0)
    checks.check_processes(config, size, splits)
    if config.head.get("standardize", False) is None:
        config = replace(config, head={**config.head, "standardize": config.solves})
    backbone = backbone_for(config.backbone, data, splits["train"])
    if (revision := backbone.rebuilt.get("revision")) is not None:
        # The commit that a name of the hub, or a branch, has come to, so that it is the same for good.
        config = replace(config, backbone={**config.backbone, "revision": revision})
    loading = make_loading(config, data, splits, backbone.preprocessing)
    if target is not None:
        assert config.target is not None
        preprocessing = backbone.preprocessing
        beside = make_loading(config, target.data, target.splits, preprocessing, config.target)
        put_beside(config.adapt, loading, beside, size)
    plan = make_plan(config, backbone)
    module = make_module(config, backbone, loading, plan, target)
    check_single_images(config, loading, module, plan, size)
    return config, Parts(loading, module, plan, target), size
