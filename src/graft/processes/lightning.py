"""What Lightning is told of processes, a Trainer for a single process, and what Lightning need not say."""

import logging
import warnings
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from pytorch_lightning.plugins.environments import (  # type: ignore[attr-defined]
    LightningEnvironment,
    SLURMEnvironment,
)

from graft.runs.launch import launched


def environment() -> list[ClusterEnvironment]:
    """What Lightning should be told of the processes; those of torchrun it finds by itself.

    It is not told of SLURM where that has started one process, whatever tasks its variables count; and where
    there are more, that SIGUSR1 is ours: its own answer would save and requeue in the middle of a step.
    """
    launch = launched()
    if launch and launch.by == "srun":
        return [SLURMEnvironment(auto_requeue=False)]
    return [] if launch else [LightningEnvironment()]


def lone_trainer(accelerator: str, devices: int | str | list[int] = 1, **settings: Any) -> pl.Trainer:
    """A Trainer for this process and one device, whatever others there are; it logs and keeps nothing."""
    quiet_lightning()
    return pl.Trainer(
        accelerator=accelerator,
        devices=devices[:1] if isinstance(devices, list) else 1,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        # Otherwise Lightning would count the tasks in SLURM's variables.
        plugins=[LightningEnvironment()],
        **settings,
    )


def lone_device(accelerator: str) -> torch.device:
    """The device on which a single process computes."""
    device: torch.device = lone_trainer(accelerator).strategy.root_device
    return device


def quiet_lightning() -> None:
    """Silence advice that does not apply: what it asks for is decided here, and said in the documentation."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in (
        "The '.*_dataloader' does not have many workers",  # on few cores none is faster
        "The number of training batches .* is smaller than the logging interval",  # curves are by epoch
        "You defined a `validation_step` but have no `val_dataloader`",  # data.val_fraction=0
        "Total length of `list` across ranks is zero",  # the same
        "GPU available but not used",
        r"Found .* module\(s\) in eval mode at the start of training",  # what is frozen is
        "Checkpoint directory .* exists and is not empty",  # the second callback finds the first one's
        "You're resuming from a checkpoint that ended before the epoch ended",  # the order of images knows
        "Trying to infer the `batch_size`",
        "Glyph .* missing from font",  # names of classes in scripts that matplotlib's font lacks
        "The `srun` command is available",
        "It is recommended to use `self.log\\(.*sync_dist=True\\)`",  # all is pooled before it is logged
        ".*isinstance\\(treespec, LeafSpec\\).*",  # Lightning 2.6 with torch 2.15
        r"FSDP.state_dict_type\(\) and FSDP.set_state_dict_type\(\) are being deprecated",  # the same
    ):
        warnings.filterwarnings("ignore", message)
