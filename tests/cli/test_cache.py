"""`graft cache` lists and removes the looks at images beside the features."""

import os
import time
from pathlib import Path

import pytest

from graft.cli.console import run
from graft.data.kept_bytes import keep, kept_file, read


@pytest.fixture
def looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of looks that was last used ten days ago."""
    monkeypatch.setenv("GRAFT_CACHE_DIR", str(tmp_path))
    keep({b"key": b"value"})
    long_ago = time.time() - 10 * 86400
    os.utime(kept_file(), (long_ago, long_ago))
    return kept_file()


def test_looks_are_listed_with_their_size_and_last_use(
    looks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["cache", "list"]) == 0
    said = capsys.readouterr().out
    assert (
        f"looks: looks at images, {looks.stat().st_size / 1000:.1f} kB, last used 10 days ago, {looks}"
        in said
    )
    assert read([b"key"]) == {b"key": b"value"}
    assert run(["cache", "list"]) == 0
    assert "last used today" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "stays"),
    [(["all"], False), (["looks"], False), (["older_than=9"], False), (["older_than=11"], True)],
)
def test_looks_are_removed_as_features_are(looks: Path, words: list[str], stays: bool) -> None:
    assert run(["cache", "prune", *words]) == 0
    assert looks.exists() is stays


def test_a_wrong_word_removes_nothing(looks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cache", "prune", "looks", "beef"]) == 2
    assert "beef" in capsys.readouterr().err
    assert looks.exists()


def test_without_looks_none_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cache", "list", f"dir={tmp_path}"]) == 0
    assert "looks at images" not in capsys.readouterr().out
