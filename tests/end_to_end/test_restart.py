"""A job that SLURM stops and starts again ends with the run that it began; two processes never share one."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import graft
from graft.cli.console import run
from graft.errors import GraftError
from graft.runs import RunFolder
from graft.training import TransferModule

WORDS = [
    *(
        "train",
        "data=image_folder",
        "data.root=photos",
        "data.batch_size=4",
        "data.num_workers=0",
        "augment=light",
    ),
    *("trainer=cpu", "trainer.max_epochs=2", "logger=none", "callbacks=checkpoint"),
]


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The run that nothing stops."""
    words = [word if word != "data.root=photos" else f"data.root={photos}" for word in WORDS[1:]]
    return graft.train([*words, f"hydra.run.dir={tmp_path_factory.mktemp('whole')}/run"])


class Job:
    """Runs command lines as SLURM's job 7 does."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch

    def start(self, words: list[str], again: bool = True, stop: dict[int, int] | None = None) -> int:
        """Run the words; `stop` says at which of its steps the process gets which signal."""
        inner, taken, left = TransferModule.training_step, [0], stop or {}

        def training_step(module: TransferModule, batch: Any, index: int) -> Any:
            taken[0] += 1
            if taken[0] in left:
                os.kill(os.getpid(), left[taken[0]])
            return inner(module, batch, index)

        with self.monkeypatch.context() as patch:
            patch.setattr(TransferModule, "training_step", training_step)
            if again:
                patch.setenv("SLURM_RESTART_COUNT", "1")
            return run(words)

    def runs(self) -> list[RunFolder]:
        return [RunFolder(file.parent) for file in sorted((self.folder / "outputs").rglob("status.json"))]

    def asked(self) -> str:
        """What `scontrol` was asked for."""
        file = self.folder / "asked"
        return file.read_text() if file.is_file() else ""


@pytest.fixture
def job(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    fake = tmp_path / "bin" / "scontrol"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    fake.chmod(0o755)
    (tmp_path / "photos").symlink_to(photos)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(fake.parent), prepend=os.pathsep)
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    # A batch script in four tasks' room, which Lightning would take for four processes.
    for name, value in {"JOB_ID": 7, "JOB_NAME": "mine", "NTASKS": 4, "PROCID": 0}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    return Job(tmp_path, monkeypatch)


def assert_same(folder: RunFolder, whole: RunFolder) -> None:
    assert folder.status()["status"] == "finished"
    for name in ("model.safetensors", "model.yaml"):
        assert (folder.bundle / name).read_bytes() == (whole.bundle / name).read_bytes()
    assert folder.epochs.read_text() == whole.epochs.read_text()


def test_a_job_whose_time_is_up_comes_back_and_goes_on(
    job: Job, whole: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert job.start(WORDS, again=False, stop={3: signal.SIGUSR1}) == 138
    (folder,) = job.runs()
    assert {**folder.status(), "status": "interrupted", "reason": "SIGUSR1"} == folder.status()
    assert job.asked() == "requeue 7\n"
    assert "scontrol requeue 7" in folder.log.read_text()
    assert job.start(WORDS) == 0
    out = capsys.readouterr().out
    assert f"SLURM job 7 was started again: its run is {folder.path}\n" in out
    assert "goes on after step 3\n" in out
    assert [found.path for found in job.runs()] == [folder.path]
    assert_same(folder, whole)
    # A script's earlier lines are run again as well.
    assert job.start(WORDS) == 0
    assert f"already finished: {folder.path}" in capsys.readouterr().out
    assert folder.status()["resumed"] == 1
    # Whoever submits the same words as another job wants another run.
    job.monkeypatch.setenv("SLURM_JOB_ID", "8")
    assert job.start(WORDS) == 0
    assert len(job.runs()) == 2


def test_the_words_are_known_after_a_stop_before_the_first_checkpoint(job: Job, whole: RunFolder) -> None:
    with job.monkeypatch.context() as patch:
        patch.setattr("graft.training.callbacks.checkpoints.Checkpoints.save", lambda *args: None)
        for again in (False, True):
            assert job.start(WORDS, again=again, stop={1: signal.SIGUSR1}) == 138
    assert job.start(WORDS) == 0
    (folder,) = job.runs()
    assert folder.status()["resumed"] == 2
    assert_same(folder, whole)


def test_a_preempted_sweep_goes_on_where_it_was(
    job: Job, whole: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = ["train", "-m", *WORDS[1:], "seed=0,1,2"]
    # In the second of three runs, 14 steps each.
    assert job.start(sweep, again=False, stop={17: signal.SIGTERM}) == 143
    first, second = job.runs()
    assert [found.status()["status"] for found in (first, second)] == ["finished", "interrupted"]
    assert job.asked() == ""
    assert job.start(sweep) == 0
    out = capsys.readouterr().out
    assert f"already finished: {first.path}" in out
    assert "these words had not begun a run" in out
    assert [found.status()["status"] for found in job.runs()] == ["finished"] * 3
    assert second.status()["resumed"] == 1
    assert_same(first, whole)


def test_an_explicit_folder_is_gone_on_with_by_its_own_job_and_words_alone(
    job: Job, whole: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*WORDS, "hydra.run.dir=outputs/mine"]
    assert job.start(words, again=False, stop={9: signal.SIGTERM}) == 143
    assert job.start([*words, "seed=3"]) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert job.start(words) == 0
    assert_same(RunFolder("outputs/mine"), whole)


HOLDS = """
import sys
from graft.runs import RunFolder
with RunFolder(sys.argv[1]).hold():
    print(flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder() -> Iterator[Callable[[Path], None]]:
    """Have another process hold a folder until the test ends."""
    started = []

    def hold(path: Path) -> None:
        command = [sys.executable, "-c", HOLDS, str(path)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert started[-1].stdout is not None
        started[-1].stdout.readline()

    yield hold
    for process in started:
        process.communicate()


def test_a_run_that_another_process_goes_on_with_is_refused(
    job: Job, holder: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert job.start(WORDS, again=False, stop={3: signal.SIGTERM}) == 143
    (folder,) = job.runs()
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    holder(folder.path)
    capsys.readouterr()
    assert run(["train", f"resume={folder.path}"]) == 2
    assert capsys.readouterr().err == f"graft: {folder.path} is held by another process, which trains there\n"
    with pytest.raises(GraftError, match="held by another process"):
        graft.train([f"resume={folder.path}"])
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before


def test_a_run_is_held_while_it_trains_and_no_longer(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    inner, told = TransferModule.training_step, []

    def training_step(module: TransferModule, batch: Any, index: int) -> Any:
        if not told:
            code = "from graft.cli.console import run; exit(run(['train', 'resume=outputs/mine']))"
            asks = [sys.executable, "-c", code]
            told.append(subprocess.run(asks, capture_output=True, text=True))
        return inner(module, batch, index)

    monkeypatch.setattr(TransferModule, "training_step", training_step)
    assert run([*WORDS, "hydra.run.dir=outputs/mine"]) == 0
    assert told[0].returncode == 2
    assert f"is still running (process {os.getpid()})" in told[0].stderr
    with RunFolder("outputs/mine").hold():
        pass
