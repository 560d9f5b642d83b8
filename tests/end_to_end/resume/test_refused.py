"""A run goes on as it was or is left as it is."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import graft
from graft.cli.console import run
from graft.configuration.version import __version__
from graft.errors import GraftError
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv, write_yaml

Same = Callable[[RunFolder, RunFolder], None]


def contents(folder: RunFolder) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.path.rglob("*")) if path.is_file()}


def test_a_finished_run_stays_as_it_is(whole: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(whole)
    assert run(["train", f"resume={whole.path}"]) == 0
    assert "already finished" in capsys.readouterr().out
    assert contents(whole) == before


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("seed=1", "seed cannot change"),
        ("data.batch_size=8", "data.batch_size cannot change"),
        ("optimizer=sgd", "optimizer cannot change"),
        ("callbacks.last.minutes=1", "callbacks.last.minutes cannot change"),
        ("trainer.max_epochs=2", "less than the 3"),
        ("trainer.max_epochs=4", "scheduler=cosine depends on it"),
    ],
)
def test_what_would_change_the_result_is_refused(
    word: str, answer: str, whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    before = contents(whole)
    assert run(["train", f"resume={whole.path}", word]) == 2
    captured = capsys.readouterr()
    assert answer in captured.err
    assert len(captured.err.splitlines()) == 1
    assert contents(whole) == before
    assert list(tmp_path.iterdir()) == []


def test_another_split_and_a_live_process_are_refused(cut: Callable[..., RunFolder]) -> None:
    folder = cut(3)
    rows = read_csv(folder.split)
    write_csv(folder.split, rows[1:])
    with pytest.raises(GraftError, match="1 images of the data are not listed"):
        graft.train([f"resume={folder.path}"])
    next(row for row in rows if row["split"] == "train")["split"] = "val"
    write_csv(folder.split, rows)
    with pytest.raises(GraftError, match="the images, or their split, are not those of"):
        graft.train([f"resume={folder.path}"])
    assert folder.status()["status"] == "failed"
    folder.set_status("running", pid=os.getppid(), host=os.uname().nodename, started="")
    with pytest.raises(GraftError, match="still running"):
        graft.train([f"resume={folder.path}"])


def test_a_run_that_lacks_a_key_of_today_is_refused(
    cut: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = cut(8)
    config = folder.read_config()
    del config["channels_last"]
    write_yaml(folder.config, config)
    before = contents(folder)
    assert run(["train", f"resume={folder.path}"]) == 2
    lacking = f"{folder.config}, which Graft {__version__} wrote, has no channels_last"
    assert capsys.readouterr().err == f"graft: {lacking}, without which this version cannot go on\n"
    assert contents(folder) == before


def test_code_of_others_is_not_run(cut: Callable[..., RunFolder]) -> None:
    folder = cut(1)
    folder.config.write_text(folder.config.read_text().replace("graft.models.mlp", "os.system"))
    with pytest.raises(GraftError, match="not trusted"):
        graft.train([f"resume={folder.path}"])
