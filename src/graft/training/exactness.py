"""Why stored boundary tensors would not give the run that images give."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytorch_lightning as pl
from torch import nn

from graft.data import ImageDataModule
from graft.features.keys import same_transform
from graft.freezing.parts import parts
from graft.freezing.prefix import frozen_prefix
from graft.training.module import TransferModule

# What a callback that looks at batches overrides.
BATCH_HOOKS = tuple(
    f"on_{part}_batch_{when}" for part in ("train", "validation") for when in ("start", "end")
)
OURS = ("graft.", "pytorch_lightning.")


def reasons_against(
    config: Mapping[str, Any],
    module: TransferModule,
    loading: ImageDataModule,
    strategy: Any,
    callbacks: Iterable[pl.Callback],
    processes: int,
) -> list[str]:
    """Why training on stored tensors would differ from training on images; empty where it would not.

    Args:
        config: the resolved configuration.
        module: what trains.
        loading: its images.
        strategy: of freezing, asked for the first epoch.
        callbacks: the trainer's.
        processes: how many train together.
    """
    views = config["cache"]["views"]
    drawn = not same_transform(loading.training, loading.evaluation)
    regularizer = module.regularizer
    stages = module.backbone.stages
    found = {
        _first_moving(strategy, stages): not frozen_prefix(strategy, stages, [0]),
        "the augmentation may draw each image anew in every epoch (cache.views=10 stores 10 views of each)": (
            drawn and views is None
        ),
        "mix blends the images themselves": module.mix is not None,
        "distill.teacher looks at the images": module.distill is not None,
        "the regularizer looks at more than weights": (
            regularizer is not None and not getattr(regularizer, "sees_weights_alone", False)
        ),
        "trainer.overfit_batches takes the images' order away": bool(config["trainer"]["overfit_batches"]),
        "several processes train": processes > 1,
    }
    reasons = [reason for reason, holds in found.items() if holds]
    for callback in callbacks:
        kind = type(callback)
        hooks = [getattr(kind, hook) for hook in BATCH_HOOKS if hasattr(kind, hook)]
        if any(not str(hook.__module__).startswith(OURS) for hook in hooks):
            reasons.append(f"the callback {kind.__name__} may look at the images of a batch")
    return reasons


def _first_moving(strategy: Any, stages: nn.ModuleDict) -> str:
    """Why there is no frozen prefix."""
    stem = next(iter(stages))
    trains = any(strategy.treatment(p, 0).trains for p, _, _ in parts(stages) if p.stage_name == stem)
    what = "trains" if trains else "has normalisation layers whose statistics move"
    return f"nothing is frozen from the stem on: {stem} {what} from the first epoch"


def reasons_against_solving(config: Mapping[str, Any], module: TransferModule, frozen: int) -> list[str]:
    """Why the head could not be solved in one step over all images; empty where it can.

    Args:
        config: the resolved configuration.
        module: what trains.
        frozen: how many stages are frozen in all epochs.
    """
    trainer = config["trainer"]
    drops = [layer for layer in module.head.modules() if isinstance(layer, nn.Dropout) and layer.p > 0]
    found = {
        "the backbone must be frozen whole, in all epochs (freeze=frozen)": frozen < len(module.backbone),
        "cache.views makes another problem of every epoch": config["cache"]["views"] is not None,
        "dropout in the head makes another problem of every look (head.dropout=0)": bool(drops),
        f"trainer.precision={trainer['precision']} is too coarse; it takes 32-true or 64-true": (
            str(trainer["precision"]) not in ("32", "64", "32-true", "64-true")
        ),
        "trainer.gradient_clip_val bends the gradient": trainer["gradient_clip_val"] is not None,
    }
    return [reason for reason, holds in found.items() if holds]
