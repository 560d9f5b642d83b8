"""Runs are found wherever they are meant, each once; what is none is named with its reason."""

import os
import unicodedata
from pathlib import Path

import pytest

from graft.errors import GraftError
from graft.runs.records import find_runs


def names(runs):
    return [run.folder.path.name for run in runs]


def test_a_run_a_sweep_and_a_pattern(sweep):
    assert names(find_runs(str(sweep / "a0"))[0]) == ["a0"]
    assert names(find_runs(str(sweep))[0]) == ["a0", "a1", "a2", "b0", "b1", "b2", "c0"]
    assert names(find_runs(f"{sweep}/b*")[0]) == ["b0", "b1", "b2"]
    assert len(find_runs(str(sweep.parent))[0]) == 7


def test_a_run_that_is_meant_twice_counts_once(sweep):
    runs, skipped = find_runs([str(sweep), str(sweep / "a0"), f"{sweep}/**"])
    assert len(runs) == 7
    # What ** matches inside of runs is no mistake.
    assert not skipped


def test_what_is_no_run_is_named(sweep, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "note.txt").write_text("x")
    (sweep / "a0/config.yaml").unlink()
    (sweep / "a1/metrics.json").write_text("{")
    (sweep / "a2/status.json").write_text("")
    wanted = [str(sweep), *(str(tmp_path / name) for name in ("photos", "note.txt", "gone", "x*"))]
    runs, skipped = find_runs(wanted)
    assert names(runs) == ["b0", "b1", "b2", "c0"]
    reasons = {Path(path).name: reason for path, reason in skipped}
    assert set(reasons) == {"photos", "note.txt", "gone", "x*", "a0", "a1", "a2"}
    assert reasons["gone"] == "there is no such folder"
    assert reasons["note.txt"] == "a file, not a folder"
    assert "config.yaml" in reasons["a0"]
    assert "no status.json" in reasons["photos"]


def test_nothing_at_all_is_an_error_in_one_line(tmp_path):
    with pytest.raises(GraftError, match="no run is there") as caught:
        find_runs([str(tmp_path), "gone"])
    assert "\n" not in str(caught.value)
    (tmp_path / "outputs").mkdir()
    with pytest.raises(
        GraftError, match=r"runs=.*output: there is no such folder: .*did you mean outputs\?$"
    ):
        find_runs(str(tmp_path / "output"))


def test_a_run_says_how_it_ended(sweep, make_run):
    (failed,) = find_runs(str(sweep / "c0"))[0]
    assert (failed.status, failed.reason, failed.metrics) == ("failed", "the loss became nan", {})
    gone = make_run("gone", ["data=digits"], status="running", pid=2**22 + 1, host=os.uname().nodename)
    assert "killed" in find_runs(str(gone))[0][0].reason


def test_epochs_and_answers_are_read(sweep):
    run = find_runs(str(sweep / "b0"))[0][0]
    assert run.epochs == [{"epoch": 0, "val/accuracy": 0.6}, {"epoch": 1, "val/accuracy": 0.9}]
    assert run.answers is not None
    assert run.answers["04.png"] == ("bee", "ant")
    assert find_runs(str(sweep / "c0"))[0][0].answers is None


def test_predictions_whose_paths_repeat_are_not_matched(sweep):
    file = sweep / "a0/predictions.csv"
    before = file.read_text()
    file.write_text(before + "00.png,ant,ant,0,0,0\n")
    assert find_runs(str(sweep / "a0"))[0][0].answers is None
    # Another spelling of the accents of a path is that path.
    composed, apart = (unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD"))
    file.write_text(before.replace("00.png", apart), encoding="utf-8")
    answers = find_runs(str(sweep / "a0"))[0][0].answers
    assert answers is not None
    assert answers[composed].label == "ant"
