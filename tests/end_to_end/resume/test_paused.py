"""A run that pauses, after some epochs or at some moment, goes on to the same bits."""

import time
from pathlib import Path

import pytest

import graft
from graft.cli.console import run
from graft.processes.interruption import Paused, until
from graft.runs import RunFolder
from graft.runs.files import read_csv


def test_a_run_paused_twice_ends_as_one_that_was_not(words, whole, tmp_path: Path, assert_same) -> None:
    path = tmp_path / "run"
    for epochs, given in ((1, [*words, f"hydra.run.dir={path}"]), (2, [f"resume={path}"])):
        with pytest.raises(Paused) as paused:
            graft.train([*given, f"stop_after={epochs}"])
        assert paused.value.code == 0
        assert len(read_csv(RunFolder(path).epochs)) == epochs
        assert RunFolder(path).status()["reason"] == f"stop_after={epochs}"
    # The word is of one start alone, and no part of what the run is.
    assert "stop_after" not in RunFolder(path).read_config()
    assert_same(graft.train([f"resume={path}"]), whole)


def test_a_run_that_is_out_of_time_pauses_where_it_can_go_on(
    words, whole, tmp_path: Path, assert_same
) -> None:
    path = tmp_path / "run"
    with pytest.raises(Paused), until(time.monotonic()):
        graft.train([*words, f"hydra.run.dir={path}"])
    assert RunFolder(path).status()["reason"] == "out of time"
    assert_same(graft.train([f"resume={path}"]), whole)


def test_to_pause_is_no_failure_on_the_command_line(words, tmp_path: Path, capsys) -> None:
    path = tmp_path / "run"
    assert run(["train", *words, "stop_after=1", f"hydra.run.dir={path}"]) == 0
    assert f"paused; graft train resume={path} goes on" in capsys.readouterr().out
    assert run(["train", *words, "stop_after=99", f"hydra.run.dir={tmp_path / 'whole'}"]) == 0
    assert RunFolder(tmp_path / "whole").status()["status"] == "finished"


def test_the_jobs_of_a_sweep_do_not_pause(words, tmp_path: Path, capsys) -> None:
    assert run(["train", "-m", *words, "seed=0,1", "stop_after=1", f"hydra.sweep.dir={tmp_path}"]) == 2
    assert "stop_after=… pauses one run" in capsys.readouterr().err
