"""What Lightning is told of processes, and a Trainer for a single process."""

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
