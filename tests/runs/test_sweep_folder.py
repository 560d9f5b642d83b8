"""A job of a sweep finds the run that it has had, by what was asked for and not by the folder's name."""

import subprocess
import sys
from pathlib import Path

import pytest

from graft.errors import GraftError
from graft.runs import RunFolder
from graft.runs.files import write_json, write_yaml
from graft.runs.process import this_process
from graft.runs.sweep_folder import SweepFolder


def ran(root: Path, name: str, fingerprint: str, status: str) -> RunFolder:
    run = RunFolder.claim(root / name, fingerprint=fingerprint)
    if status != "running":
        run.set_status(status)
    return run


def test_the_best_of_several_runs_counts(tmp_path: Path) -> None:
    ran(tmp_path, "0-x", "aa", "failed")
    done = ran(tmp_path, "4-x", "aa", "finished")
    stopped = ran(tmp_path, "5-x", "bb", "interrupted")
    failed = ran(tmp_path, "6-x", "cc", "failed")
    found = SweepFolder(tmp_path).matched([(key, []) for key in ("bb", "aa", "cc", "dd")])
    assert [run and run.path for run in found] == [stopped.path, done.path, failed.path, None]


def test_two_jobs_alike_have_a_run_each(tmp_path: Path) -> None:
    ran(tmp_path, "0-x", "aa", "finished")
    first, second = SweepFolder(tmp_path).matched([("aa", []), ("aa", [])])
    assert first is not None
    assert second is None


def test_of_jobs_that_differ_in_how_they_are_computed_each_has_its_own(tmp_path: Path) -> None:
    words = [["trainer.devices=2"], ["trainer.devices=1"]]
    stopped, done = ran(tmp_path, "0-x", "aa", "interrupted"), ran(tmp_path, "1-x", "aa", "finished")
    for run, own in zip((stopped, done), words, strict=True):
        write_yaml(run.overrides, own)
    first, second, third = SweepFolder(tmp_path).matched([*(("aa", own) for own in words), ("aa", [])])
    assert (first and first.path, second and second.path, third) == (stopped.path, done.path, None)
    # In other words the finished one comes first.
    (other,) = SweepFolder(tmp_path).matched([("aa", ["threads=3"])])
    assert other is not None
    assert other.path == done.path


def test_what_a_killed_process_left_is_no_obstacle(tmp_path: Path) -> None:
    # Killed between making the status and writing it, and while it trained.
    (tmp_path / "0-x").mkdir()
    (tmp_path / "0-x/status.json").touch()
    killed = ran(tmp_path, "1-x", "aa", "running")
    assert SweepFolder(tmp_path).matched([("aa", [])])[0].path == killed.path  # type: ignore[union-attr]


def test_a_run_that_another_process_is_at_is_left_alone(tmp_path: Path) -> None:
    run = ran(tmp_path, "0-x", "aa", "running")
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        write_json(run.status_file, {**run.status(), **this_process(), "pid": other.pid, "began": None})
        with pytest.raises(GraftError, match="is still running"):
            SweepFolder(tmp_path).matched([("aa", [])])
    finally:
        other.communicate(b"\n")


def test_numbers_go_on_after_those_that_are_taken(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path / "sweep")
    assert folder.next_number() == 0
    for name in ("0-x", "11-x", "figures"):
        (folder.path / name).mkdir(parents=True)
    assert folder.next_number() == 12


def test_what_is_no_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraftError, match="there is no such folder"):
        SweepFolder.open(tmp_path / "none")
    with pytest.raises(GraftError, match=r"no sweep's folder \(it has no sweep.yaml\)"):
        SweepFolder.open(tmp_path)
    SweepFolder(tmp_path).write_plan({"words": ["seed=0,1"]})
    assert SweepFolder.open(tmp_path).plan_file.read_text() == "words:\n- seed=0,1\n"
