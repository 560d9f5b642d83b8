"""`graft crossval -m`: each job a whole cross-validation, compared by their folds at the end."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from graft.cli.console import run
from graft.commands import train as train_command
from graft.errors import GraftError
from graft.runs.files import read_csv

SHORT = ["trainer=cpu", "trainer.max_epochs=1", "logger=none", "data.batch_size=8", "folds=2"]


@pytest.fixture
def words(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    images = ["data=image_folder", f"data.root={photos}"]
    return ["crossval", "-m", *images, *SHORT, "freeze=frozen,last_k", "hydra.sweep.dir=out"]


def in_second_fold_of_last_k(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    inner = train_command.fit

    def fit(config: Any, *args: Any) -> float:
        if config.freeze["_target_"].endswith("LastK") and config.data["fold"] == 2:
            act()
        return inner(config, *args)

    monkeypatch.setattr(train_command, "fit", fit)


def test_each_job_is_whole_and_their_folds_are_compared(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 0
    for job in ("0-simple_cnn-frozen", "1-simple_cnn-last_k"):
        assert len(read_csv(Path("out", job, "predictions.csv"))) == 36
        assert Path("out", job, "crossval.md").is_file()
    rows = {row["freeze"]: row for row in read_csv(Path("out/summary.csv"))}
    assert {name: row["n"] for name, row in rows.items()} == {"frozen": "2", "last_k": "2"}
    (accuracy, *_) = read_csv(Path("out/1-simple_cnn-last_k/crossval.csv"))
    assert float(rows["last_k"]["test/accuracy"]) == pytest.approx(float(accuracy["mean"]))
    out = capsys.readouterr().out
    assert "note: folds share training images, so intervals and tests over them are too narrow\n" in out
    assert out.endswith("\n2 jobs: 2 finished\nout\n")


def test_a_job_with_a_failed_fold_fails_and_goes_on_by_itself(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise GraftError("the training loss became nan")

    with monkeypatch.context() as patch:
        in_second_fold_of_last_k(patch, fail)
        assert run(words) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-3:] == [
        "2 jobs: 1 finished, 1 failed",
        "graft crossval resume=out/JOB goes on with a job that has begun",
        "out",
    ]
    assert captured.err.splitlines()[-1] == "failed: freeze=last_k: FoldsFailed: 1 of 2 folds failed"
    assert len(read_csv(Path("out/0-simple_cnn-frozen/predictions.csv"))) == 36
    assert run(["crossval", "resume=out/1-simple_cnn-last_k"]) == 0
    assert len(read_csv(Path("out/1-simple_cnn-last_k/predictions.csv"))) == 36


def test_a_stop_says_how_to_go_on(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        in_second_fold_of_last_k(patch, lambda: os.kill(os.getpid(), signal.SIGINT))
        assert run(words) == 130
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-2:] == [
        "graft crossval resume=out/1-simple_cnn-last_k does what is left",
        "graft crossval resume=out/JOB goes on with a job that has begun",
    ]
    assert "sweep.resume" not in captured.out
    assert run(["crossval", "resume=out/1-simple_cnn-last_k"]) == 0
