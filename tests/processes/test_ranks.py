"""How many processes a configuration means, and what they say to each other."""

from dataclasses import replace

import pytest
import torch
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy

from graft.composition.composing import compose
from graft.configuration.run_config import RunConfig
from graft.errors import GraftError
from graft.freezing.strategies import Full, Gradual
from graft.processes import ranks
from graft.training.trainer import make_trainer

TRAINER = {
    "_target_": "pytorch_lightning.Trainer",
    "accelerator": "cpu",
    "devices": 1,
    "num_nodes": 1,
    "strategy": "ddp",
    "max_epochs": 2,
    "logger": False,
}


@pytest.mark.parametrize(("devices", "count"), [(1, 1), (3, 3), ([0, 2], 2), ("auto", 1)])
def test_there_is_a_process_a_device(devices: object, count: int) -> None:
    assert ranks.count({**TRAINER, "devices": devices}) == count


def test_a_launcher_decides_how_many_and_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "WORLD_SIZE": "8"}.items():
        monkeypatch.setenv(key, value)
    assert ranks.count({**TRAINER, "devices": "auto"}) == 8
    assert ranks.count({**TRAINER, "devices": 4, "num_nodes": 2}) == 8
    with pytest.raises(GraftError, match=r"torchrun has started 8 processes, but trainer\.devices=4"):
        ranks.count({**TRAINER, "devices": 4})


def test_nodes_need_a_launcher() -> None:
    with pytest.raises(GraftError, match="needs torchrun or srun"):
        ranks.count({**TRAINER, "num_nodes": 2})


@pytest.mark.parametrize(("strategy", "searched"), [(Full(), False), (Gradual(every=1), True)])
def test_unused_parameters_are_looked_for_where_the_frozen_set_changes(
    strategy: object, searched: bool, plan, tmp_path
) -> None:
    config = replace(RunConfig.of(compose("train", [])[0]), trainer=TRAINER)
    several = replace(config, trainer={**TRAINER, "devices": 2})
    trainer = make_trainer(several, tmp_path, [], [], size=2, changes=plan(strategy, 3).changes)
    assert isinstance(trainer.strategy, DDPStrategy)
    assert trainer.strategy._ddp_kwargs["find_unused_parameters"] is searched
    alone = make_trainer(config, tmp_path, [], [])
    assert isinstance(alone.strategy, SingleDeviceStrategy)


def test_a_trainer_that_works_alone_is_not_told_of_slurms_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "photos", "SLURM_JOB_ID": "1"}.items():
        monkeypatch.setenv(key, value)
    trainer = ranks.lone_trainer("cpu", 4)
    assert (trainer.world_size, trainer.num_devices) == (1, 1)
    assert isinstance(trainer._accelerator_connector.cluster_environment, ranks.LightningEnvironment)


def test_one_process_agrees_with_itself() -> None:
    assert (ranks.size(), ranks.rank()) == (1, 0)
    assert ranks.gathered("mine") == ["mine"]
    assert ranks.any_of(True, False) == [True, False]
    assert ranks.summed(torch.tensor(3.0)) == 3
    ranks.check_same({"seed": 0})


def test_processes_that_differ_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "gathered", lambda own: [own, "another"])
    with pytest.raises(GraftError, match="do not see the same configuration and data"):
        ranks.check_same({"seed": 0})
