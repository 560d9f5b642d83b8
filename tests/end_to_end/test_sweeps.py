"""A sweep survives its jobs, says what became of each, and goes on with what is left."""

import gc
import json
import math
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
import yaml

import graft
from graft.cli.console import run
from graft.commands import train as command
from graft.composition.composing import compose
from graft.configuration.keys import conf_dir
from graft.errors import GraftError
from graft.runs import RunFolder
from graft.runs.process import alive
from graft.sweeps.launching import Outcome
from graft.training import TransferModule

SMALL = ["trainer.max_epochs=2", "trainer=cpu", "logger=none", "data.batch_size=8"]


@pytest.fixture
def words(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    return ["train", "-m", "data=image_folder", f"data.root={photos}", *SMALL]


def runs(folder: str = "sweep") -> dict[str, str]:
    """Each run's folder and where it stands."""
    return {
        file.parent.name: json.loads(file.read_text())["status"]
        for file in sorted(Path(folder).glob("*/status.json"))
    }


def same(one: RunFolder, other: RunFolder) -> None:
    """Both runs came to the same weights and numbers, to the last bit."""
    weights = [(run.bundle / "model.safetensors").read_bytes() for run in (one, other)]
    assert weights[0] == weights[1]
    assert {**one.metrics, "seconds": 0} == {**other.metrics, "seconds": 0}


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException, seed: int, step: int = 0) -> None:
    """Let training with that seed end with an error."""
    inner = TransferModule.training_step

    def training_step(self: TransferModule, batch: Any, index: int) -> Any:
        if self.global_step == step and os.environ.get("PL_GLOBAL_SEED") == str(seed):
            raise error
        return inner(self, batch, index)

    monkeypatch.setattr(TransferModule, "training_step", training_step)


@pytest.mark.parametrize(
    "name", [path.stem for path in (conf_dir() / "sweep").glob("*.yaml") if path.stem != "search"]
)
def test_every_job_of_a_named_grid_composes(
    name: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def launch(launcher: Any, batch: list[list[str]], first: int) -> list[Outcome]:
        asked.extend(batch)
        return [Outcome()] * len(batch)

    monkeypatch.setattr("graft.sweeps.grid.launch", launch)
    given = [word for word in words if word != "-m"]
    assert run([*given, f"sweep={name}", "hydra.sweep.dir=sweep"]) == 0
    values = yaml.safe_load((conf_dir() / "sweep" / f"{name}.yaml").read_text())["hydra"]["sweeper"]["params"]
    jobs = math.prod(len(str(value).split(",")) for value in values.values())
    assert len(asked) == len({tuple(job) for job in asked}) == jobs > 1


def test_a_mistake_in_the_last_job_is_answered_before_the_first_starts(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.perf_counter()
    assert run([*words, "seed=0,1,2,3,4,5,6,-1"]) == 2
    # A second or two where nothing else runs.
    assert time.perf_counter() - began < 20
    captured = capsys.readouterr()
    assert captured.err.startswith("graft: job 7 (seed=-1): seed=-1 is wrong")
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_rules_between_keys_hold_for_each_job(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "freeze=frozen,last_k", "freeze.k=1"]) == 2
    assert "unknown key freeze.k with this freeze; it belongs to freeze=last_k" in capsys.readouterr().err
    assert run([*words, "regularizer=l2,l2_sp", "seed=0,1"]) == 2
    assert "job 2 (regularizer=l2_sp seed=0): regularizer=l2_sp draws" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("a bug\nof two lines"),
        MemoryError(),
        __import__("torch").OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    ],
    ids=["exception", "memory", "cuda"],
)
def test_a_failed_job_stops_no_other_and_its_folder_says_why(
    error: Exception, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(monkeypatch, error, seed=1)
    assert run([*words, "seed=0,1,2", "hydra.sweep.dir=sweep"]) == 1
    captured = capsys.readouterr()
    assert list(runs().values()) == ["finished", "failed", "finished"]
    reason = RunFolder("sweep/1-simple_cnn-full").status()["reason"]
    assert reason.startswith(type(error).__name__)
    assert captured.err.splitlines()[-1] == f"failed: seed=1: {reason}"
    assert captured.out.splitlines()[-3:] == [
        "3 jobs: 2 finished, 1 failed",
        "the same words with sweep.resume=sweep do what is left",
        "sweep",
    ]


def test_a_loss_that_is_no_number_fails_its_job_alone(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "optimizer=sgd", "optimizer.lr=1e30,0.01", "hydra.sweep.dir=sweep"]) == 1
    assert list(runs().values()) == ["failed", "finished"]
    assert "failed: optimizer.lr=1e+30: the training loss became" in capsys.readouterr().err


def test_a_job_that_fails_before_it_has_a_folder_leaves_one(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "data.shots=2,500", "hydra.sweep.dir=sweep"]) == 1
    failed = RunFolder.open("sweep/1-simple_cnn-full")
    assert "data.shots=500" in failed.status()["reason"]
    assert failed.read_config()["data"]["shots"] == 500
    assert "resume" not in failed.read_config()
    assert "data.shots=500" in failed.log.read_text()


def test_a_failed_job_holds_no_memory(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    networks: list[Any] = []
    inner = command.fit

    def fit(config: Any, parts: Any, *rest: Any) -> float:
        gc.collect()
        networks.append(weakref.ref(parts.module))
        # The network of the job that failed before is gone by now.
        assert len(networks) < 2 or networks[-2]() is None
        if config.seed == 0:
            raise RuntimeError("out of memory")
        return inner(config, parts, *rest)

    monkeypatch.setattr(command, "fit", fit)
    assert run([*words, "seed=0,1", "hydra.sweep.dir=sweep"]) == 1
    assert list(runs().values()) == ["failed", "finished"]


@pytest.mark.parametrize(
    # Single runs are stopped in both ways in the fast tier.
    ("stop", "status"),
    [(KeyboardInterrupt, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
    ids=str,
)
def test_a_stopped_sweep_goes_on_with_the_same_words(
    stop: Any,
    status: int,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    grid = [*words, "seed=0,1,2"]
    assert run([*grid, "hydra.sweep.dir=whole"]) == 0
    with monkeypatch.context() as patch:
        inner = TransferModule.training_step

        def training_step(self: TransferModule, batch: Any, index: int) -> Any:
            if self.global_step == 4 and os.environ.get("PL_GLOBAL_SEED") == "1":
                os.kill(os.getpid(), signal.SIGINT if stop is KeyboardInterrupt else stop)
            return inner(self, batch, index)

        patch.setattr(TransferModule, "training_step", training_step)
        assert run([*grid, "hydra.sweep.dir=sweep"]) == status
    assert list(runs().values()) == ["finished", "interrupted"]
    assert "the same words with sweep.resume=sweep" in capsys.readouterr().out
    assert run([*grid, "sweep.resume=sweep"]) == 0
    out = capsys.readouterr().out
    assert "already finished" in out
    assert "3 jobs: 2 finished, 1 had finished before" in out
    assert runs() == dict.fromkeys(
        ["0-simple_cnn-full", "1-simple_cnn-full", "3-simple_cnn-full"], "finished"
    )
    assert RunFolder("sweep/0-simple_cnn-full").status().get("resumed") is None
    assert RunFolder("sweep/1-simple_cnn-full").status()["resumed"] == 1
    for mine, other in (("1", "1"), ("3", "2")):
        same(RunFolder(f"sweep/{mine}-simple_cnn-full"), RunFolder(f"whole/{other}-simple_cnn-full"))


def test_jobs_are_known_by_what_they_compute(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "seed=0,1", "hydra.sweep.dir=sweep"]) == 0
    Path("sweep/0-simple_cnn-full").rename("sweep/7-mine")
    # Another grid, in another order, which holds one of the old jobs.
    assert run([*words, "freeze=full,frozen", "seed=0", "sweep.resume=sweep"]) == 0
    assert "2 jobs: 1 finished, 1 had finished before" in capsys.readouterr().out
    assert list(runs()) == ["1-simple_cnn-full", "7-mine", "8-simple_cnn-frozen"]
    assert run([*words, "freeze=full,frozen", "seed=0", "sweep.resume=sweep"]) == 0
    assert "2 jobs: 2 had finished before" in capsys.readouterr().out


def test_what_failed_runs_again_in_a_folder_of_its_own(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        raising(patch, RuntimeError("no luck"), seed=0)
        assert run([*words, "seed=0,1", "hydra.sweep.dir=sweep"]) == 1
    assert run([*words, "seed=0,1", "sweep.resume=sweep"]) == 0
    assert runs() == {
        "0-simple_cnn-full": "failed",
        "1-simple_cnn-full": "finished",
        "2-simple_cnn-full": "finished",
    }


def test_a_folder_is_no_second_sweeps(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "seed=0,1", "hydra.sweep.dir=sweep"]) == 0
    capsys.readouterr()
    assert run([*words, "seed=2,3", "hydra.sweep.dir=sweep"]) == 2
    assert capsys.readouterr().err == (
        "graft: hydra.sweep.dir=sweep already holds a sweep; sweep.resume=sweep goes on with it\n"
    )


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        (
            ["sweep.metric=test/accuracy"],
            "nothing to choose by: the test set is for the end",
        ),
        (["sweep.metric=val/acuracy"], "did you mean val/accuracy?"),
        (["sweep.resume=nowhere"], "sweep.resume=nowhere: there is no such folder"),
        (["optimizer.lr=interval(0.1,1)"], "optimizer.lr=interval(0.1,1): a search, not a grid"),
        (["sweep=seed"], "sweep=seed: no such option; did you mean seeds?"),
        (["hydra/launcher=jobli"], "hydra/launcher=jobli: no such option"),
    ],
)
def test_a_wrong_word_of_a_sweep(
    more: list[str], answer: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, *more]) == 2
    err = capsys.readouterr().err
    assert answer in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_needs_more_than_one_run(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    single = [word for word in words if word != "-m"]
    assert run([*single, "sweep.resume=x"]) == 2
    assert "needs -m or sweep=" in capsys.readouterr().err
    with pytest.raises(GraftError, match="a sweep is for the command line"):
        graft.train([*single[1:], "sweep=seeds"])


def test_joblibs_launcher(words: list[str]) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    # One worker: in this process.
    parallel = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"]
    assert run([*words, *parallel, "data.shots=2,500", "hydra.sweep.dir=sweep"]) == 1
    assert list(runs().values()) == ["finished", "failed"]


def test_slurms_launcher_is_composed() -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    queue = [
        "hydra.launcher.partition=gpu",
        "hydra.launcher.timeout_min=240",
        "hydra.launcher.gpus_per_node=1",
    ]
    _, node = compose("train", ["data=digits", "hydra/launcher=submitit_slurm", *queue])
    assert node.launcher._target_.endswith("SlurmLauncher")
    assert (node.launcher.partition, node.launcher.timeout_min) == ("gpu", 240)


KILLED = """
import os, signal, sys
from graft.cli.console import run
from graft.training import TransferModule

inner = TransferModule.training_step

def training_step(self, batch, index):
    if self.global_step == 4 and os.environ.get("PL_GLOBAL_SEED") == "1" and not os.path.exists("killed"):
        open("killed", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return inner(self, batch, index)

TransferModule.training_step = training_step
"""


def killing(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run the words where, once, the process that trains with seed 1 is killed."""
    Path("killing.py").write_text(KILLED)
    # Python runs this in each process that it starts in, as a launcher's.
    Path("sitecustomize.py").write_text(
        "import sys\nif 'submitit.core._submit' in sys.orig_argv: import killing\n"
    )
    code = "import sys, killing\nsys.exit(killing.run(sys.argv[1:]))"
    source = Path(graft.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([".", str(source)])}
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment, check=False
    )


@pytest.mark.slow
def test_a_killed_process_ends_the_basic_launchers_sweep_which_goes_on(words: list[str]) -> None:
    grid = [*words, "seed=0,1,2"]
    assert killing([*grid, "hydra.sweep.dir=sweep"]).returncode == -signal.SIGKILL
    assert list(runs().values()) == ["finished", "running"]
    assert run([*grid, "sweep.resume=sweep"]) == 0
    assert list(runs().values()) == ["finished"] * 3


@pytest.mark.slow
def test_a_killed_process_of_submitits_is_its_own_jobs_alone(words: list[str]) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    grid = [*words, "seed=0,1,2", "data.shots=6,500", "hydra/launcher=submitit_local", "threads=1"]
    done = killing([*grid, "hydra.sweep.dir=sweep"])
    assert done.returncode == 1, done.stderr
    assert sorted(runs().values()) == ["failed"] * 3 + ["finished"] * 2 + ["running"]
    assert "6 jobs: 2 finished, 4 failed" in done.stdout
    assert "failed: seed=1 data.shots=6: LostJob: no answer from its process" in done.stderr
    assert run([*grid[:-3], "data.shots=6", "threads=1", "sweep.resume=sweep"]) == 0
    assert sorted(runs().values()) == ["failed"] * 3 + ["finished"] * 3


@pytest.mark.slow
def test_ctrl_c_ends_joblibs_processes_and_what_finished_stays(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    grid = [*words, "trainer.max_epochs=1,300", "threads=1"]
    parallel = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=sweep"]
    short, long = RunFolder("sweep/0-simple_cnn-full"), RunFolder("sweep/1-simple_cnn-full")
    with subprocess.Popen(
        [sys.executable, "-m", "graft", *grid, *parallel],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A group of its own, all of which a terminal's Ctrl-C reaches.
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(graft.__file__).parents[1])},
    ) as sweep:
        until = time.monotonic() + 120
        while "finished" not in runs().values() or not long.epochs.is_file():
            assert time.monotonic() < until
            time.sleep(0.1)
        os.killpg(sweep.pid, signal.SIGINT)
        out, _ = sweep.communicate(timeout=60)
    assert sweep.returncode == 130
    assert "Traceback" not in out
    assert out.endswith("the same words with sweep.resume=sweep do what is left\ninterrupted\n")
    assert not any(alive(found.status()) for found in (short, long))
    first = short.metrics_file.read_bytes()
    assert run([*grid, "sweep.resume=sweep"]) == 0
    assert "2 jobs: 1 finished, 1 had finished before" in capsys.readouterr().out
    assert short.metrics_file.read_bytes() == first
    assert long.status()["resumed"] == 1
