"""What the environment says of processes that a launcher has started."""

import pytest

from graft.runs.launch import Launch, launched

TORCHRUN = {"TORCHELASTIC_RUN_ID": "1", "RANK": "3", "WORLD_SIZE": "4"}
SRUN = {"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5", "SLURM_NTASKS": "8"}


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        (TORCHRUN, Launch("torchrun", 3, 4)),
        (SRUN, Launch("srun", 5, 8)),
        # torchrun inside a job.
        ({**SRUN, **TORCHRUN}, Launch("torchrun", 3, 4)),
        # A batch script is one process, however many tasks it may start.
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_JOB_ID": "1"}, None),
        ({**SRUN, "SLURM_STEP_NUM_TASKS": "1"}, None),
        ({**TORCHRUN, "RANK": "0", "WORLD_SIZE": "1"}, None),
        ({}, None),
    ],
)
def test_who_started_this(
    variables: dict[str, str], found: Launch | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in {*TORCHRUN, *SRUN}:
        monkeypatch.delenv(key, raising=False)
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    assert launched() == found
