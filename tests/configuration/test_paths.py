"""What is said of a path that is not there, or that cannot be written."""

import os
from pathlib import Path

import pytest

from graft.configuration.paths import check_room, existing, expanded
from graft.errors import GraftError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "labels.csv").touch()
    return tmp_path


def test_a_path_that_is_there_is_given_back(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    assert existing("data.root", "photos", "folder") == Path("photos")
    assert existing("data.root", "~/photos", "folder") == here / "photos"
    assert existing("data.file", "labels.csv", "file") == Path("labels.csv")
    assert existing("source", "labels.csv", "file or folder") == Path("labels.csv")


@pytest.mark.parametrize(
    ("given", "kind", "answer"),
    [
        ("fotos", "folder", "k=fotos: there is no such folder: {here} has no fotos; did you mean photos?"),
        (
            "fotos/a/b",
            "folder",
            "k=fotos/a/b: there is no such folder: {here} has no fotos; did you mean photos?",
        ),
        ("photos/a", "file or folder", "k=photos/a: there is no such file or folder: {here}/photos has no a"),
        (
            "lables.csv",
            "file",
            "k=lables.csv: there is no such file: {here} has no lables.csv; did you mean labels.csv?",
        ),
        (
            "labels.csv/a/b",
            "folder",
            "k=labels.csv/a/b: there is no such folder: {here}/labels.csv is a file",
        ),
        ("labels.csv", "folder", "k=labels.csv: is a file, not a folder"),
        ("photos", "file", "k=photos: is a folder, not a file"),
        ("a" * 300, "file", "k=" + "a" * 300 + ": cannot be looked at (File name too long)"),
        ("a\0b", "file", "k='a\\x00b' is no path: embedded null byte"),
        (None, "folder", "k=null is wrong: it must be a path"),
    ],
)
def test_another_is_answered_in_one_line(given: str, kind: str, answer: str, here: Path) -> None:
    with pytest.raises(GraftError) as caught:
        existing("k", given, kind)
    assert str(caught.value) == answer.format(here=here)


def test_a_tilde_that_nobody_knows_is_a_name(here: Path) -> None:
    (here / "~nobody-of-this-name").mkdir()
    assert existing("data.root", "~nobody-of-this-name", "folder") == expanded("~nobody-of-this-name")


def test_what_will_be_written_may_be_absent(here: Path) -> None:
    check_room("cache.dir", "photos")
    check_room("cache.dir", "new/and/deep")
    with pytest.raises(GraftError, match=r"^cache\.dir=labels\.csv: it is a file, not a folder$"):
        check_room("cache.dir", "labels.csv")
    with pytest.raises(GraftError, match=r"^cache\.dir=labels\.csv/a: .*/labels\.csv is a file"):
        check_room("cache.dir", "labels.csv/a")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="to the superuser no folder is closed")
def test_a_folder_in_which_nothing_may_be_written(here: Path) -> None:
    (here / "photos").chmod(0o500)
    with pytest.raises(GraftError, match="nothing may be written in"):
        check_room("hydra.run.dir", "photos/run")
