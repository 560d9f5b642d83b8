"""A sweep's folder ends up with a table, a page and a picture that say the same as the runs."""

import pytest

from graft.reporting.summary import summarize
from graft.runs.files import read_csv, write_yaml
from graft.runs.recorded import metric_of_sweeps
from graft.runs.records import find_runs
from graft.sweeps.report import Failed, conclude


@pytest.mark.figures
def test_the_summary_of_a_sweep(sweep, capsys):
    summarize(sweep)
    rows = read_csv(sweep / "summary.csv")
    assert [(row["rank"], row["freeze"], row["n"], row["unfinished"]) for row in rows] == [
        ("1", "full", "3", "0"),
        ("2", "frozen", "3", "0"),
        ("", "full", "0", "1"),
    ]
    assert float(rows[1]["test/accuracy"]) == pytest.approx(0.74)
    page = (sweep / "summary.md").read_text()
    out = capsys.readouterr().out
    for text in ("failed: freeze=full optimizer.lr=0.5 (seed=0): the loss became nan", "0.9000 ± 0.0000"):
        assert text in page
        assert text in out
    assert out.strip().endswith(str(sweep / "summary.md"))
    assert (sweep / "summary.png").stat().st_size > 5000
    assert page.startswith("# freeze=full")


def test_a_sweep_that_wholly_failed_still_says_why(make_run, tmp_path):
    make_run("sweep/0", ["seed=0"], status="failed", reason="no memory")
    summarize(tmp_path / "sweep")
    page = (tmp_path / "sweep/summary.md").read_text()
    assert "No run is finished" in page
    assert "no memory" in page
    assert not (tmp_path / "sweep/summary.png").exists()


def test_a_folder_without_runs_gets_nothing(tmp_path):
    assert summarize(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_what_ranks_the_jobs_is_the_sweeps_metric(sweep, capsys):
    """`freeze=full` is more accurate on validation, frozen has the lower loss there."""
    conclude(sweep, {"finished": 6}, [], metric="val/loss")
    rows = read_csv(sweep / "summary.csv")
    assert [(row["rank"], row["freeze"]) for row in rows] == [("1", "frozen"), ("2", "full"), ("", "full")]
    page = (sweep / "summary.md").read_text()
    assert page.startswith("# freeze=frozen optimizer.lr=0.0005 is best on validation (test/loss 0.9000")
    assert page.index("val/loss") < page.index("val/accuracy")
    assert "test/loss 0.9000" in capsys.readouterr().out


def test_the_trainings_and_folds_of_advices_are_not_ranked_together(sweep, capsys):
    with pytest.raises(SystemExit):
        conclude(sweep, {"finished": 1}, [Failed(["seed=1"], "no memory")], "advise")
    assert not (sweep / "summary.csv").exists()
    assert f"graft advise resume={sweep}/JOB goes on with a job that has begun" in capsys.readouterr().out


def test_compare_ranks_by_what_the_sweep_does(sweep, make_run):
    def usual(*paths):
        return metric_of_sweeps(run.folder for path in paths for run in find_runs(str(path))[0])

    assert usual(sweep) == "val/accuracy"
    write_yaml(sweep / "sweep.yaml", {"words": [], "metric": "val/loss"})
    assert usual(sweep) == "val/loss"
    # Runs of no sweep, or of one with another metric, leave nothing that all would have.
    assert usual(sweep, make_run("alone", ["seed=9"], {"val/accuracy": 0.5})) == "val/accuracy"
