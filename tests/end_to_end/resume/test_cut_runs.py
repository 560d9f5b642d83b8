"""A run that was stopped anywhere goes on and ends as if it had never been: to the last bit, on a CPU."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import graft
from graft.cli.console import run
from graft.runs import RunFolder
from graft.training import TransferModule

Same = Callable[[RunFolder, RunFolder], None]


class Cut(Exception):
    """What a test stops a run with."""


# Before the first checkpoint, within an epoch, at an epoch's last and the next one's first step.
@pytest.mark.parametrize(
    "step", [0, 4, 5, 6, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 7, 16))]
)
def test_a_cut_run_goes_on_to_the_same_end(
    assert_same: Same, step: int, cut: Callable[..., RunFolder], whole: RunFolder
) -> None:
    folder = cut(step)
    assert folder.status()["status"] == "failed"
    assert graft.train([f"resume={folder.path}"]).path == folder.path
    assert folder.status()["status"] == "finished"
    assert folder.status()["resumed"] == 1
    assert_same(folder, whole)


def test_a_run_is_cut_again_and_again(
    assert_same: Same,
    cut: Callable[..., RunFolder],
    whole: RunFolder,
    cut_at: Callable[[int], AbstractContextManager[None]],
) -> None:
    folder = cut(4)
    for step in (7, 8, 13):
        with cut_at(step):
            graft.train([f"resume={folder.path}"])
    graft.train([f"resume={folder.path}"])
    assert folder.status()["resumed"] == 4
    assert_same(folder, whole)


@pytest.mark.parametrize("name", ["run_test", "save_bundle", "write_test"])
def test_a_run_stopped_after_training_is_not_trained_again(
    assert_same: Same,
    name: str,
    words: list[str],
    whole: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(*args: Any) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(f"graft.training.ending.{name}", stop)
        with pytest.raises(Cut):
            graft.train([*words, f"hydra.run.dir={tmp_path}/run"])
    with monkeypatch.context() as patch:
        patch.setattr(TransferModule, "training_step", stop)
        folder = graft.train([f"resume={tmp_path}/run"])
    assert_same(folder, whole)


def test_a_damaged_last_checkpoint_is_told_and_the_one_before_is_used(
    assert_same: Same, cut: Callable[..., RunFolder], whole: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = cut(9)
    last = folder.checkpoints / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-100])
    graft.train([f"resume={folder.path}"])
    out = capsys.readouterr().out
    assert f"{last} is damaged" in out
    assert "goes on after step 8" in out
    assert_same(folder, whole)


def test_a_moved_run_goes_on_where_it_is(
    assert_same: Same, cut: Callable[..., RunFolder], whole: RunFolder, tmp_path: Path
) -> None:
    cut(14).path.rename(tmp_path / "moved")
    assert_same(graft.train([f"resume={tmp_path}/moved"]), whole)


def test_the_last_unfinished_run_is_found(
    assert_same: Same,
    cut: Callable[..., RunFolder],
    whole: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", "resume=last"]) == 2
    assert "no unfinished run below outputs/" in capsys.readouterr().err
    (tmp_path / "outputs").mkdir()
    cut(14).path.rename(tmp_path / "outputs/cut")
    assert run(["train", "resume=last", "data.num_workers=1"]) == 0
    assert_same(RunFolder.open("outputs/cut"), whole)
    # Hydra's own new folder is gone.
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["cut"]
    assert run(["train", "resume=last"]) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(
    assert_same: Same, workers: int, words: list[str], whole: RunFolder, tmp_path: Path
) -> None:
    folder = graft.train([*words, f"data.num_workers={workers}", f"hydra.run.dir={tmp_path}/run"])
    assert_same(folder, whole)
