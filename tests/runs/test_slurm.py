"""A job is known by SLURM's variables, and asks for its own return."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from graft.runs import slurm


@pytest.fixture(autouse=True)
def _outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)


def inside(monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))


def test_outside_slurm_there_is_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    inside(monkeypatch, RESTART_COUNT=1)
    assert slurm.job() is None
    assert not slurm.started_again()


def test_a_job_is_plain_values(monkeypatch: pytest.MonkeyPatch) -> None:
    inside(monkeypatch, JOB_ID=123, CLUSTER_NAME="big")
    assert slurm.job() == {"job_id": "123", "cluster": "big"}


@pytest.mark.parametrize(("count", "again"), [(None, False), ("0", False), ("1", True), ("12", True)])
def test_a_job_knows_whether_it_was_started_before(
    monkeypatch: pytest.MonkeyPatch, count: str | None, again: bool
) -> None:
    inside(monkeypatch, JOB_ID=123, **({} if count is None else {"RESTART_COUNT": count}))
    assert slurm.started_again() is again


TASK = {"job_id": "124", "array_job_id": "120", "array_task_id": "4"}


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (TASK, True),
        # A task may come back under another number of its own.
        ({**TASK, "job_id": "300"}, True),
        ({**TASK, "array_task_id": "5"}, False),
        ({**TASK, "cluster": "big"}, False),
        ({"job_id": "124"}, False),
        (None, False),
    ],
)
def test_a_task_of_an_array_is_itself_alone(other: dict[str, str] | None, same: bool) -> None:
    assert slurm.same_job(TASK, other) is same


@pytest.mark.parametrize("told", [{"JOB_ID": 7}, {"JOB_ID": 9, "ARRAY_JOB_ID": 7, "ARRAY_TASK_ID": 3}])
@pytest.mark.parametrize("status", [0, 1])
def test_the_answer_to_a_requeue_is_said(
    told: dict[str, int],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inside(monkeypatch, **told)
    fake = tmp_path / "scontrol"
    fake.write_text(
        f'#!{sys.executable}\nimport sys\nprint("disabled", file=sys.stderr)\nsys.exit({status})\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    slurm.requeue()
    name = "7_3" if "ARRAY_JOB_ID" in told else "7"
    out = capsys.readouterr().out
    assert f"scontrol requeue {name}" in out
    assert ("warning" in out and "disabled" in out) is bool(status)


def test_without_scontrol_the_run_still_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inside(monkeypatch, JOB_ID=7)
    monkeypatch.setenv("PATH", str(tmp_path))
    slurm.requeue()
    assert capsys.readouterr().out.startswith("warning: scontrol requeue 7 failed")
