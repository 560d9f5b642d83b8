"""A run whose head is solved: the features of its images, the solution, and what is kept of the way there."""

import time

import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn

from graft.configuration.building import build
from graft.configuration.metric_names import SCORED
from graft.configuration.run_config import RunConfig
from graft.data.samples import Indices
from graft.freezing.apply import apply
from graft.models.known import Known
from graft.objective.folding import folds_of
from graft.objective.solving import Labelled, logits_by_folds, solve
from graft.optim import LBFGS
from graft.processes.interruption import is_pending, raise_pending
from graft.reporting import pictures
from graft.reporting.loggers import tensorboard
from graft.runs import RunFolder
from graft.runs.files import write_csv, write_figure
from graft.runs.log import say
from graft.training.assembly import Parts
from graft.training.cache.feature_cache import FeatureCache
from graft.training.ending import Trained
from graft.training.knowing import known_by_folds
from graft.training.module import TransferModule

# What is logged of a target domain.
OF_TARGET = (SCORED, "scores/", "oracle/")


def solve_head(
    folder: RunFolder, config: RunConfig, parts: Parts, trainer: pl.Trainer, cache: FeatureCache
) -> Trained:
    """Solve the module's head in place; write and log what each penalty gave, and the metrics as an epoch's.

    Raises:
        SampleError: an image cannot be read.
    """
    started = time.perf_counter()
    loading, module = parts.loading, parts.module
    apply(parts.plan, module.backbone.stages, 0)
    splits, data = loading.splits, loading.data
    labelled = [
        Labelled(features, torch.from_numpy(data.samples.labels[splits[split]]))
        for features, split in zip(cache.features(), ("train", "val"), strict=True)
    ]
    groups = None if data.together is None else np.asarray(data.together, object)[splits["train"]]
    solver = build(config.optimizer, "optimizer")
    assert isinstance(solver, LBFGS)
    choice = solve(
        module.head,  # type: ignore[arg-type]
        solver,
        *labelled,
        groups=groups,
        seed=config.data.get("split_seed", 0),
        task=module.task,
        check=lambda: raise_pending(is_pending()),
    )
    say(f"solved with a penalty of {choice.penalty:g}, chosen by {choice.judge}")
    if choice.path:
        write_csv(folder.penalties, choice.path)
        write_figure(folder.penalties_figure, pictures.penalty_curves(choice.path, choice.penalty))
        tensorboard.add_figure(trainer.loggers, "penalties", folder.penalties_figure)
    trainable = float(sum(p.numel() for p in module.parameters() if p.requires_grad))
    scored = {} if loading.beside is None else _scored(parts, trainer)
    for logger in trainer.loggers:
        logger.log_metrics(
            {**choice.metrics, **scored, "trainable_parameters": trainable, "epoch": 0}, step=0
        )
        logger.save()
    seconds = time.perf_counter() - started
    known = (
        None if len(splits["val"]) else _known(config, module, solver, labelled[0], choice.penalty, groups)
    )
    return Trained(module, 0, seconds, choice.penalty, known=known)


def _known(
    config: RunConfig,
    module: TransferModule,
    solver: LBFGS,
    train: Labelled,
    penalty: float,
    groups: Indices | None,
) -> Known | None:
    """What says that a sample is none of the classes, by cross-validation of the training samples."""
    if config.known is None:
        return None
    folds = folds_of(train.labels.numpy(), groups, config.data.get("split_seed", 0))
    head: nn.Sequential = module.head  # type: ignore[assignment]
    logits = logits_by_folds(head, solver, train, penalty, folds, task=module.task)
    return known_by_folds(config.known, train, logits.shape[1], folds, logits)


def _scored(parts: Parts, trainer: pl.Trainer) -> dict[str, float]:
    """What a validation says of the target domain, as after an epoch."""
    loggers = trainer.loggers
    trainer.loggers = []
    try:
        trainer.validate(parts.module, datamodule=parts.loading, verbose=False)
    finally:
        trainer.loggers = loggers
    metrics = {key: float(value) for key, value in trainer.callback_metrics.items()}
    return {key: value for key, value in metrics.items() if key.startswith(OF_TARGET)}
