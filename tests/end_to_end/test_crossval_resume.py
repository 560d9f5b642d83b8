"""A cross-validation that was stopped goes on in its folder and ends as if it had never been."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graft.cli.console import run
from graft.commands import train as train_command
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_yaml
from graft.runs.process import this_process
from graft.training import TransferModule

SHORT = ["trainer=cpu", "trainer.max_epochs=2", "logger=none", "data.batch_size=8", "folds=3"]
# What it comes to; metrics.json has the seconds that it took too.
RESULTS = ("predictions.csv", "crossval.csv", "crossval.md", "per_class.csv", "config.yaml", "overrides.yaml")


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three folds that nothing stops."""
    path = tmp_path_factory.mktemp("whole") / "out"
    assert run(["crossval", *words_for(photos), f"hydra.run.dir={path}"]) == 0
    return path


def words_for(photos: Path) -> list[str]:
    return ["data=image_folder", f"data.root={photos}", *SHORT]


@pytest.fixture
def words(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    return words_for(photos)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The fold of each training that begins or goes on."""
    folds: list[int] = []
    inner = train_command.fit

    def fit(config: Any, *args: Any) -> float:
        folds.append(config.data["fold"])
        return inner(config, *args)

    monkeypatch.setattr(train_command, "fit", fit)
    return folds


def stopped(words: list[str], number: int, status: int) -> None:
    """Have a signal come in the second fold's second epoch."""
    inner = TransferModule.training_step
    fits: list[int] = []

    def training_step(self: TransferModule, batch: Any, index: int) -> Any:
        fits.append(1) if self.global_step == 0 else None
        if len(fits) == 2 and self.global_step == 4:
            os.kill(os.getpid(), number)
        return inner(self, batch, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransferModule, "training_step", training_step)
        assert run(["crossval", *words, "hydra.run.dir=out"]) == status


def statuses() -> dict[str, str]:
    return {
        file.parent.name: RunFolder(file.parent).status()["status"]
        for file in sorted(Path("out").glob("*/status.json"))
    }


def assert_same(path: Path, whole: Path) -> None:
    for name in RESULTS:
        ours, others = ((folder / name).read_bytes() for folder in (path, whole))
        # Only Hydra's own word, which names the folder.
        assert ours == others.replace(str(whole).encode(), b"out"), name
    metrics = [{**RunFolder(folder).metrics, "seconds": 0} for folder in (path, whole)]
    assert metrics[0] == metrics[1]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=str)
def test_a_stopped_one_goes_on_to_the_same_end(
    number: int,
    status: int,
    words: list[str],
    whole: Path,
    trained: list[int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    stopped(words, number, status)
    assert statuses() == {"fold-1": "finished", "fold-2": "interrupted"}
    assert capsys.readouterr().out.splitlines()[-1] == "graft crossval resume=out does what is left"
    first = {path: path.read_bytes() for path in Path("out/fold-1").rglob("*") if path.is_file()}
    trained.clear()
    assert run(["crossval", "resume=out"]) == 0
    assert trained == [2, 3]
    assert_same(Path("out"), whole)
    assert {path: path.read_bytes() for path in Path("out/fold-1").rglob("*") if path.is_file()} == first
    assert RunFolder("out/fold-2").status()["resumed"] == 1
    assert "resumed" not in RunFolder("out/fold-3").status()
    assert not Path("outputs").exists()


def test_the_same_words_change_nothing_and_what_is_finished_is_read_back(
    words: list[str], whole: Path, trained: list[int]
) -> None:
    shutil.copytree(whole, "out")
    for name in (*RESULTS[:4], "metrics.json"):
        Path("out", name).unlink()
    write_yaml(RunFolder("out").overrides, [*words, "hydra.run.dir=out"])
    assert run(["crossval", "resume=out", *words]) == 0
    assert run(["crossval", "resume=out", "data.num_workers=0"]) == 0
    assert trained == []
    assert read_csv(Path("out/predictions.csv")) == read_csv(whole / "predictions.csv")
    # What may change is kept, for the next time.
    assert RunFolder("out").read_config()["data"]["num_workers"] == 0
    assert "data.num_workers=0" in RunFolder("out").overrides.read_text()


def test_a_missing_fold_and_one_that_a_crash_left_without_a_record_are_trained(
    words: list[str], whole: Path, trained: list[int]
) -> None:
    shutil.copytree(whole, "out")
    shutil.rmtree("out/fold-1")
    shutil.rmtree("out/fold-3")
    Path("out/fold-3").mkdir()
    # As a crash between the claim and what it says leaves it.
    Path("out/fold-3/status.json").touch()
    assert run(["crossval", "resume=out"]) == 0
    assert trained == [1, 3]
    assert read_csv(Path("out/predictions.csv")) == read_csv(whole / "predictions.csv")


def test_what_failed_goes_on(
    words: list[str], whole: Path, trained: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    inner = TransferModule.training_step
    fits: list[int] = []

    def training_step(self: TransferModule, batch: Any, index: int) -> Any:
        fits.append(1) if self.global_step == 0 else None
        if len(fits) == 1 and self.global_step == 4:
            raise OSError("no space left on device")
        return inner(self, batch, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransferModule, "training_step", training_step)
        assert run(["crossval", *words, "hydra.run.dir=out"]) == 1
    out = capsys.readouterr().out
    assert out.endswith("no space left on device\ngraft crossval resume=out does what is left\n")
    assert statuses() == {"fold-1": "failed", "fold-2": "finished", "fold-3": "finished"}
    trained.clear()
    assert run(["crossval", "resume=out"]) == 0
    assert trained == [1]
    assert_same(Path("out"), whole)


@pytest.mark.parametrize("word", ["seed=1", "folds=4", "repeats=2", "freeze=frozen", "data.split_seed=1"])
def test_what_would_change_the_result_is_refused(
    word: str,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    assert run(["crossval", f"resume={whole}", word]) == 2
    error = capsys.readouterr().err
    assert (
        error
        == f"graft: {word.split('=')[0]} cannot change in a run that goes on; start a new one for that\n"
    )
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before
    assert list(tmp_path.iterdir()) == []


def test_other_images_are_refused_before_anything_is_trained(
    photos: Path, words: list[str], trained: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(photos, "photos")
    words = [*words_for(Path("photos")), "data.num_workers=0"]
    stopped(words, signal.SIGINT, 130)
    shutil.copy("photos/red/00.png", "photos/blue/99.png")
    trained.clear()
    assert run(["crossval", "resume=out"]) == 2
    assert "split.csv: 1 images of the data are not listed, such as blue/99.png" in capsys.readouterr().err
    assert trained == []


def test_one_that_another_process_goes_on_with_is_refused(
    words: list[str], whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole, "out")
    # The test runner's parent is there, as a process that trains would be.
    RunFolder("out/fold-2").set_status("running", **{**this_process(), "pid": os.getppid(), "began": None})
    assert run(["crossval", "resume=out"]) == 2
    error = capsys.readouterr().err
    assert "fold-2 is still running" in error
    assert error.count("\n") == 1
    RunFolder("out/fold-2").set_status("interrupted")
    code = "from graft.runs import RunFolder\nwith RunFolder('out').hold(): print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert run(["crossval", "resume=out"]) == 2
        other.communicate(b"\n")
    assert "out is held by another process, which trains there" in capsys.readouterr().err


def test_code_of_others_is_not_run(words: list[str], whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(whole, "out")
    config = Path("out/config.yaml")
    config.write_text(config.read_text().replace("graft.backbones.simple_cnn", "os.system"))
    assert "os.system" in config.read_text()
    assert run(["crossval", "resume=out"]) == 2
    assert "not trusted" in capsys.readouterr().err


def test_a_runs_folder_is_none(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["crossval", f"resume={whole}/fold-1"]) == 2
    assert "is no cross-validation's folder" in capsys.readouterr().err
