"""Folders that are somebody else's: what can be had without them is had, and else it is one line.

A file in the place of a folder stands for them, since the tests may run as root, who may use any.
"""

from pathlib import Path

import pytest

from graft.cli.console import guarded, run
from graft.data.cache_location import cache_folder
from graft.errors import GraftError
from graft.features.folder import entries, unreadable
from graft.runs import RunFolder
from graft.runs.files import read_csv


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which nobody can take a lock, so that nothing can be written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cache/features").mkdir(parents=True)
    (tmp_path / "cache/features/locks").write_text("")
    monkeypatch.setenv("GRAFT_CACHE_DIR", str(tmp_path / "cache"))
    return cache_folder() / "features"


def test_features_are_computed_where_the_cache_cannot_be_used(
    others: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["data=image_folder", f"data.root={photos}", "accelerator=cpu"]
    assert run(["extract", "backbone=simple_cnn", *data, "hydra.run.dir=features"]) == 0
    assert f"cache: not used: {others} cannot be used (" in capsys.readouterr().out
    assert len(read_csv(Path("features/features.csv"))) == 36
    words = ["backbones=[simple_cnn]", "weights.simple_cnn=null"]
    assert run(["rank", *words, *data, "hydra.run.dir=ranked"]) == 0
    assert f"cache: not used: {others} cannot be used (" in capsys.readouterr().out


def test_what_cannot_be_removed_stays_and_says_why(
    others: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (others / "locks").unlink()
    data = ["data=image_folder", f"data.root={photos}", "accelerator=cpu"]
    assert run(["extract", "backbone=simple_cnn", *data, "hydra.run.dir=features"]) == 0
    (entry,) = entries(others)
    for lock in (others / "locks").iterdir():
        lock.unlink()
    (others / "locks").rmdir()
    (others / "locks").write_text("")
    capsys.readouterr()
    assert run(["cache", "prune", "all"]) == 0
    out = capsys.readouterr().out
    assert f"{entry.key[:12]} stays: it cannot be removed (File exists)" in out
    assert "removed 0 of 1, 0 B" in out
    assert run(["cache", "list"]) == 0
    assert "1 entries" in capsys.readouterr().out


def test_a_cache_that_cannot_be_listed_is_one_line(
    others: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("graft.features.folder._subfolders", refuse)
    assert entries(others) == []
    with pytest.raises(GraftError, match=r"cannot be listed \(Permission denied\)"):
        unreadable(others)
    for words in (["list"], ["prune", "all"]):
        assert run(["cache", *words]) == 2
        error = capsys.readouterr().err
        assert error == f"graft: {others} cannot be listed (Permission denied)\n"


def test_what_a_user_may_not_use_is_one_line_wherever_it_is_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise PermissionError(13, "Permission denied", "/home/other/run/config.yaml")

    assert guarded(command) == 2
    refused = "/home/other/run/config.yaml may not be used by this user (Permission denied)"
    assert capsys.readouterr().err == f"graft: {refused}\n"
    # The lock of a run in another's folder.
    (tmp_path / ".lock").mkdir()
    with pytest.raises(GraftError, match="cannot be written"), RunFolder(tmp_path).hold():
        pass
