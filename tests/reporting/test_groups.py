"""Runs that differ in the seed alone are one group; the order is validation's; only what differs is shown."""

import json
import math

import numpy as np
import pytest
import yaml
from scipy import stats

from graft.errors import GraftError
from graft.reporting.groups import rank, spread
from graft.runs.records import find_runs


def ranked(path, sort="val/accuracy", over=("seed",)):
    return rank(find_runs(str(path))[0], sort, over)


def test_seeds_are_one_group_and_the_best_on_validation_is_first(sweep):
    ranking = ranked(sweep)
    full, frozen = ranking.groups
    # Frozen is better on the test, which decides nothing.
    assert (full.values["freeze"], frozen.values["freeze"]) == ("full", "frozen")
    assert [len(group.runs) for group in ranking.groups] == [3, 3]
    assert frozen.spread("test/accuracy").mean == pytest.approx(np.mean([0.7, 0.72, 0.8]))
    assert frozen.spread("test/accuracy").deviation == pytest.approx(np.std([0.7, 0.72, 0.8], ddof=1))


def test_of_a_loss_less_is_better(sweep):
    assert ranked(sweep, "val/loss").groups[0].values["freeze"] == "frozen"


@pytest.mark.parametrize("sort", ["test/accuracy", "test/loss", "accuracy"])
def test_the_test_set_orders_nothing(sweep, sort):
    with pytest.raises(GraftError, match="the test set is for the end"):
        ranked(sweep, sort)


def test_a_metric_that_no_run_has_is_refused(sweep):
    with pytest.raises(GraftError, match="there are val/accuracy, val/loss"):
        ranked(sweep, "val/f1_macro")


def test_a_failed_run_is_no_number_and_is_named(sweep):
    ((label, run),) = ranked(sweep).unfinished
    assert "optimizer.lr=0.5" in label
    assert run.reason == "the loss became nan"


def test_only_what_differs_is_a_key(sweep):
    ranking = ranked(sweep)
    assert ranking.shown == ["freeze", "optimizer.lr"]
    assert set(ranking.shown) < set(ranking.keys)
    # What follows from freeze differs too, but nobody named it.
    assert "trainer.max_epochs" in ranking.keys
    assert not {"seed", "name", "data.batch_size"} & set(ranking.keys)


def test_what_no_word_names_is_shown_where_it_alone_tells_apart(make_run, tmp_path):
    metrics = {"val/accuracy": 0.5}
    for name, rate in (("a", 0.1), ("b", 0.2)):
        path = make_run(f"runs/{name}", [f"optimizer.lr={rate}"], metrics)
        (path / "overrides.yaml").write_text("[experiment=mine]\n")
    assert "optimizer.lr" in ranked(tmp_path / "runs").shown


def test_a_callback_that_one_run_lacks_tells_them_apart(make_run, tmp_path):
    make_run("runs/plain", [], {"val/accuracy": 0.5})
    make_run("runs/ema", ["callbacks=[default,ema]"], {"val/accuracy": 0.6})
    assert len(ranked(tmp_path / "runs").groups) == 2


def test_how_a_run_was_computed_tells_nothing_apart(make_run, tmp_path):
    make_run("runs/a", ["seed=0", "threads=1"], {"val/accuracy": 0.5})
    make_run("runs/b", ["seed=1", "threads=2", "data.num_workers=0", "logger=none"], {"val/accuracy": 0.7})
    (group,) = ranked(tmp_path / "runs").groups
    assert len(group.runs) == 2


def test_other_keys_than_the_seed_can_be_repeated_over(make_run, tmp_path):
    for seed in (0, 1):
        make_run(f"runs/{seed}", [f"seed={seed}", f"data.split_seed={seed}"], {"val/accuracy": 0.5})
    assert len(ranked(tmp_path / "runs").groups) == 2
    assert len(ranked(tmp_path / "runs", over=("seed", "data.split_seed")).groups) == 1


def test_of_two_runs_that_are_the_same_the_newer_counts(make_run, tmp_path):
    make_run("runs/z", ["seed=0"], {"val/accuracy": 0.5}, started="2026-11-22T10:00:00+00:00")
    make_run("runs/a", ["seed=0"], {"val/accuracy": 0.7}, started="2026-11-23T10:00:00+00:00")
    ranking = ranked(tmp_path / "runs")
    assert ranking.groups[0].spread("val/accuracy").mean == 0.7
    assert any("was run again" in note for note in ranking.notes)


def test_nan_is_never_best(make_run, tmp_path):
    make_run("runs/a", ["optimizer.lr=0.1"], {"val/accuracy": math.nan})
    make_run("runs/b", ["optimizer.lr=0.2"], {"val/accuracy": 0.1})
    assert ranked(tmp_path / "runs").groups[0].values["optimizer.lr"] == 0.2


def test_without_validation_there_is_no_best(make_run, tmp_path):
    make_run("runs/a", ["optimizer.lr=0.1"], {"test/accuracy": 0.9})
    make_run("runs/b", ["optimizer.lr=0.2"], {"test/accuracy": 0.1})
    ranking = ranked(tmp_path / "runs")
    assert not ranking.ranked
    assert any("nothing was validated" in note for note in ranking.notes)


def test_a_run_that_lacks_keys_of_today_is_compared_by_what_it_has(make_run, tmp_path):
    make_run("runs/new", ["seed=0"], {"val/accuracy": 0.5})
    old = make_run("runs/old", ["seed=1"], {"val/accuracy": 0.7})
    config = yaml.safe_load((old / "config.yaml").read_text())
    for key in ("distill", "cache", "mix", "threads", "lr_find"):
        del config[key]
    del config["head"]["standardize"]
    (old / "config.yaml").write_text(yaml.safe_dump(config))
    status = json.loads((old / "status.json").read_text())
    (old / "status.json").write_text(json.dumps({key: status[key] for key in ("status", "started")}))
    assert len(ranked(tmp_path / "runs").groups) == 2


def test_paths_are_short_and_still_apart(make_run, tmp_path):
    for name in ("one", "two"):
        words = [f"backbone.weights=/long/way/{name}/w.pth", "data=digits"]
        make_run(f"runs/{name}", words, {"val/accuracy": 0.5})
    labels = {group.label for group in ranked(tmp_path / "runs").groups}
    assert labels == {"backbone.weights=one/w.pth", "backbone.weights=two/w.pth"}


def test_the_interval_is_students():
    values = [0.7, 0.72, 0.8]
    found = spread(values)
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert spread([0.5]).low is None
    # Three runs that are right on every image say nothing of how runs differ.
    assert spread([1.0, 1.0, 1.0]).low is spread([1.0, 1.0, 1.0]).high is None
    assert spread([1.0, 1.0, 0.9], 0.0, 1.0).high == 1.0
    assert spread([0.1, 0.0, 0.0], 0.0, 1.0).low == 0.0
    assert spread([0.1, 0.0, 0.0]).low < 0
    assert str(spread([0.5])) == "0.5000"
    assert str(spread([])) == "–"


def test_a_sweep_over_how_runs_are_computed_loses_none(make_run, tmp_path):
    for place, devices in enumerate((1, 2)):
        make_run(f"runs/{place}", ["seed=0", f"trainer.devices={devices}"], {"val/accuracy": 0.5})
    ranking = ranked(tmp_path / "runs")
    assert [group.values["trainer.devices"] for group in ranking.groups] == [1, 2]
    assert not ranking.notes


def test_of_equals_the_first_that_began_is_first_and_what_ended_early_is_never(make_run, tmp_path):
    for lr, minute, more in ((0.3, 2, {}), (0.2, 1, {}), (0.1, 0, {"pruned": 1})):
        began = f"2026-11-23T10:0{minute}:00+00:00"
        metrics = {"val/accuracy": 0.6 if more else 0.5}
        make_run(f"runs/{lr}", [f"optimizer.lr={lr}"], metrics, started=began, **more)
    assert [group.values["optimizer.lr"] for group in ranked(tmp_path / "runs").groups] == [0.2, 0.3, 0.1]
