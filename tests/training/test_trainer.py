"""The Trainer is what the configuration says, and adds nothing of its own."""

from dataclasses import replace
from pathlib import Path

import pytest
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.profilers import SimpleProfiler
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy

from graft.composition.composing import compose
from graft.configuration.run_config import RunConfig
from graft.errors import GraftError
from graft.freezing.strategies import Full, Gradual
from graft.runs import RunFolder
from graft.training import Checkpoints
from graft.training.callbacks.progress import EpochLines
from graft.training.trainer import Unprofiled, make_callbacks, make_loggers, make_trainer


@pytest.fixture(scope="module")
def config():
    return RunConfig.of(compose("train", ["trainer=cpu", "trainer.max_epochs=2"])[0])


def test_callbacks_and_loggers_write_inside_the_run_folder(config, tmp_path):
    callbacks = make_callbacks(config, tmp_path, validated=True)
    kinds = [type(callback) for callback in callbacks]
    assert kinds == [ModelCheckpoint, Checkpoints, EpochLines, LearningRateMonitor]
    assert (callbacks[0].dirpath, callbacks[1].folder) == (
        str(RunFolder(tmp_path).checkpoints),
        RunFolder(tmp_path).checkpoints,
    )
    (logger,) = make_loggers(config, tmp_path)
    assert isinstance(logger, TensorBoardLogger)
    assert Path(logger.log_dir) == tmp_path / "tensorboard"
    assert config.callbacks["best"]["dirpath"] == "checkpoints"


def test_without_validation_nothing_waits_for_it(config, tmp_path):
    callbacks = make_callbacks(config, tmp_path, validated=False)
    assert not any(isinstance(callback, ModelCheckpoint) for callback in callbacks)
    assert any(isinstance(callback, Checkpoints) for callback in callbacks)
    mine = {**config.callbacks["best"], "monitor": "train/loss", "filename": "mine"}
    config = replace(config, callbacks={**config.callbacks, "mine": mine})
    callbacks = make_callbacks(config, tmp_path, validated=False)
    assert any(getattr(callback, "filename", None) == "mine" for callback in callbacks)


@pytest.mark.parametrize(
    ("names", "checkpoints", "bar"),
    [([], False, False), (["best"], True, False), (["progress"], False, True)],
)
def test_the_trainer_adds_no_callbacks_of_its_own(config, tmp_path, names, checkpoints, bar):
    config = replace(config, callbacks={name: config.callbacks[name] for name in names})
    callbacks = make_callbacks(config, tmp_path, validated=True)
    trainer = make_trainer(config, tmp_path, callbacks, [])
    assert (trainer.max_epochs, trainer.default_root_dir) == (2, str(tmp_path))
    assert bool(trainer.checkpoint_callbacks) == checkpoints
    assert (trainer.progress_bar_callback is not None) == bar
    assert trainer.loggers == []


def test_a_profiler_is_there_where_it_is_asked_for_alone(config, tmp_path):
    assert isinstance(make_trainer(config, tmp_path, [], []).profiler, Unprofiled)
    config = replace(config, trainer={**config.trainer, "profiler": "simple"})
    assert isinstance(make_trainer(config, tmp_path, [], []).profiler, SimpleProfiler)


@pytest.mark.parametrize(
    "setting", [{"gradient_clip_algorithm": "none"}, {"precision": "33-true"}, {"min_epoch": 3}]
)
def test_settings_that_the_trainer_refuses_are_one_line(config, tmp_path, setting):
    config = replace(config, trainer={**config.trainer, **setting})
    with pytest.raises(GraftError, match=r"^trainer: ") as caught:
        make_trainer(config, tmp_path, [], [])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("strategy", "searched"), [(Full(), False), (Gradual(every=1), True)])
def test_unused_parameters_are_looked_for_where_the_frozen_set_changes(
    strategy: object, searched: bool, config, plan, tmp_path
) -> None:
    node = {
        "_target_": "pytorch_lightning.Trainer",
        "accelerator": "cpu",
        "devices": 1,
        "num_nodes": 1,
        "strategy": "ddp",
        "max_epochs": 2,
        "logger": False,
    }
    several = replace(config, trainer={**node, "devices": 2})
    trainer = make_trainer(several, tmp_path, [], [], size=2, changes=plan(strategy, 3).changes)
    assert isinstance(trainer.strategy, DDPStrategy)
    assert trainer.strategy._ddp_kwargs["find_unused_parameters"] is searched
    alone = make_trainer(replace(config, trainer=node), tmp_path, [], [])
    assert isinstance(alone.strategy, SingleDeviceStrategy)
