"""What Lightning is told of processes."""

import pytest

from graft.processes import lightning


def test_a_trainer_that_works_alone_is_not_told_of_slurms_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "photos", "SLURM_JOB_ID": "1"}.items():
        monkeypatch.setenv(key, value)
    trainer = lightning.lone_trainer("cpu", 4)
    assert (trainer.world_size, trainer.num_devices) == (1, 1)
    assert isinstance(trainer._accelerator_connector.cluster_environment, lightning.LightningEnvironment)
