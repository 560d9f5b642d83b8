"""A run that a signal stops goes on to the end that it would have had."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import graft
from graft.processes.interruption import Terminated
from graft.runs import RunFolder
from graft.training import TransferModule

Same = Callable[[RunFolder, RunFolder], None]
# Sets the signal off within a training step; the run is a process of its own.
KILLED = """
import os, signal, sys
from graft.cli.console import run
from graft.training import TransferModule
step, number = int(sys.argv[1]), int(sys.argv[2])
inner = TransferModule.training_step
def training_step(self, batch, index):
    if self.global_step == step:
        os.kill(os.getpid(), number)
    return inner(self, batch, index)
TransferModule.training_step = training_step
sys.exit(run(sys.argv[3:]))
"""


def launch(step: int, number: int, words: list[str], folder: Path) -> int:
    command = [sys.executable, "-c", KILLED, str(step), str(int(number)), "train", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, f"hydra.run.dir={folder}"], capture_output=True, text=True, env=environment, timeout=300
    )
    assert "Traceback" not in done.stderr
    return done.returncode


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_a_run_that_is_told_to_stop_saves_the_step_it_is_in(
    assert_same: Same, number: int, code: int, words: list[str], whole: RunFolder, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    words = [*words, "callbacks.last.minutes=60.0"]
    assert launch(8, number, words, tmp_path / "run") == code
    folder = RunFolder.open(tmp_path / "run")
    assert folder.status()["status"] == "interrupted"
    graft.train([f"resume={folder.path}"])
    assert "goes on after step 9" in capsys.readouterr().out
    assert_same(folder, whole)


# With all that has a state of its own: phases, an average, mixed batches, a regulariser, dropout.
EVERYTHING = ["freeze=gradual", "callbacks=ema", "mix=both", "regularizer=delta"]


@pytest.fixture(scope="module")
def rich(words: list[str]) -> list[str]:
    return [*(word for word in words if not word.startswith("freeze")), *EVERYTHING]


@pytest.fixture(scope="module")
def whole_rich(rich: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return graft.train([*rich, f"hydra.run.dir={tmp_path_factory.mktemp('rich')}/run"])


@pytest.mark.parametrize(
    ("step", "workers"),
    [
        (8, 0),
        *(pytest.param(s, w, marks=pytest.mark.slow) for s in (0, 2, 6, 11, 17) for w in (0, 2)),
    ],
)
def test_a_killed_run_goes_on_to_the_same_end(
    assert_same: Same, step: int, workers: int, rich: list[str], whole_rich: RunFolder, tmp_path: Path
) -> None:
    words = [*rich, f"data.num_workers={workers}"]
    assert launch(step, signal.SIGKILL, words, tmp_path / "run") == -signal.SIGKILL
    folder = RunFolder.open(tmp_path / "run")
    assert folder.status()["status"] == "running"
    # TensorBoard orders two processes' files by the second in their names, and a new process takes longer.
    time.sleep(1.1)
    # A process of its own: this one's tenth file within a second would be read before its ninth.
    resume = [sys.executable, "-m", "graft", "train", f"resume={folder.path}"]
    subprocess.run(resume, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert_same(folder, whole_rich)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_validation_is_what_it_is(
    assert_same: Same,
    number: int,
    words: list[str],
    whole: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Lightning has a handler of its own for SIGTERM, and an exit of its own from validation.
    inner = TransferModule.validation_step

    def validation_step(self: TransferModule, batch: Any, index: int) -> None:
        if self.current_epoch == 1 and index == 0:
            os.kill(os.getpid(), number)
        inner(self, batch, index)

    terminated = number == signal.SIGTERM
    with monkeypatch.context() as patch:
        patch.setattr(TransferModule, "validation_step", validation_step)
        with pytest.raises(Terminated if terminated else KeyboardInterrupt):
            graft.train([*words, f"hydra.run.dir={tmp_path}/run"])
    folder = RunFolder.open(tmp_path / "run")
    assert folder.status()["status"] == "interrupted"
    assert folder.status()["reason"] == ("SIGTERM" if terminated else "Ctrl-C")
    graft.train([f"resume={folder.path}"])
    assert_same(folder, whole)
