"""Lightning's Trainer as a run wants it: its callbacks, its loggers, its way to many processes."""

from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger
from pytorch_lightning.profilers import PassThroughProfiler
from pytorch_lightning.strategies import DDPStrategy

from graft.configuration.building import build, build_later
from graft.configuration.locating import INSIDE
from graft.configuration.plain_text import encodable
from graft.configuration.run_config import Node, RunConfig
from graft.configuration.version import DISTRIBUTION
from graft.errors import GraftError
from graft.processes.lightning import environment, quiet_lightning
from graft.runs.log import say
from graft.training.callbacks.checkpoint_files import CheckedIO

# Loggers of which each is an extra of its own.
TRACKERS = ("mlflow", "wandb")
# Loggers that can drop what was logged after the checkpoint that a run goes on from.
PURGING = ("TensorBoardLogger", "graft.training.StepTable")
_NOTHING: AbstractContextManager[None] = nullcontext()


class Unprofiled(PassThroughProfiler):
    """Times nothing; Lightning's own makes a context manager anew for each of some 50 hooks a step."""

    def profile(self, action_name: str) -> Any:  # noqa: D102
        return _NOTHING


def make_callbacks(config: RunConfig, folder: Path, validated: bool) -> list[pl.Callback]:
    """The configured callbacks; where nothing validates, without the checkpoint of the best validation."""
    return [
        build(_inside(node, folder), f"callbacks.{name}")
        for name, node in config.callbacks.items()
        if validated or not str(node.get("monitor") or "").startswith("val/")
    ]


def make_loggers(config: RunConfig, folder: Path, purge_step: int | None = None) -> list[Logger]:
    """The configured loggers, writing inside the run folder.

    A resumed run goes on from `purge_step`: loggers drop what they were given from this step on.
    """
    made: list[Logger] = []
    for name, node in config.logger.items():
        target = str(node["_target_"])
        if target.endswith("TensorBoardLogger") and str(folder) != encodable(str(folder)):
            say("TensorBoard cannot write into a folder whose name is not UTF-8, so it is left out")
            continue
        purged = target.endswith(PURGING) and purge_step is not None
        extra = {"purge_step": purge_step} if purged else {}
        if name in TRACKERS and find_spec(name) is None:
            raise GraftError(f"logger={name} needs {name}: pip install '{DISTRIBUTION}[{name}]'")
        made.append(build(_inside(node, folder), f"logger.{name}", **extra))
    return made


def _inside(node: Node, folder: Path) -> Node:
    """The node with its folder taken to be inside the run folder."""
    folders = {key: str(folder / node[key]) for key in INSIDE if node.get(key)}
    return {**node, **folders}


def make_trainer(
    config: RunConfig,
    folder: Path,
    callbacks: list[pl.Callback],
    loggers: list[Logger],
    *,
    size: int = 1,
    changes: bool = False,
) -> pl.Trainer:
    """Lightning's Trainer for one of `size` processes; `changes`: not the same parts train in all epochs.

    Raises:
        GraftError: the Trainer refuses its settings.
    """
    quiet_lightning()
    settings = dict(config.trainer)
    settings["profiler"] = settings.get("profiler") or Unprofiled()
    if size == 1:
        settings["strategy"] = "auto"
    elif settings.get("strategy") == "fsdp":
        if changes:
            raise GraftError(
                "trainer=fsdp wants what trains to be the same in all epochs; trainer=ddp does not"
            )
        if "last" not in config.callbacks:
            raise GraftError(
                "trainer=fsdp tests the whole weights, which stand in last.ckpt alone; "
                "it needs callbacks.last, as in callbacks=checkpoint"
            )
    else:
        # To look for parameters without a gradient costs a walk over the graph in each step.
        settings["strategy"] = DDPStrategy(find_unused_parameters=changes)
    trainer = build_later(settings, "trainer")(
        callbacks=callbacks,
        logger=loggers,
        default_root_dir=folder,
        plugins=[CheckedIO(config.callbacks.get("last", {}).get("seconds", 0)), *environment()],
        # The data module gives each process its share.
        use_distributed_sampler=False,
        enable_checkpointing=any(isinstance(callback, pl.callbacks.Checkpoint) for callback in callbacks),
        enable_progress_bar=any(isinstance(callback, pl.callbacks.ProgressBar) for callback in callbacks),
    )
    assert isinstance(trainer, pl.Trainer)
    return trainer
