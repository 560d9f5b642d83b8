"""How well scores tell known samples from others, by hand."""

import numpy as np
import pytest

from graft.evaluation.unknown import known_metrics, unknown_metrics


def test_the_ranks_of_known_and_unknown_samples():
    known, unknown = np.arange(20.0), np.array([-3.0, -2, 0.5, 7.5])
    told = unknown_metrics(known, unknown, 0)
    # Pairs in which the known one is higher: 20, 20, 19 and 12 of 20.
    assert told["auroc"] == pytest.approx(71 / 80)
    # 19 of 20 known samples reach 1, and of the others one does.
    assert told["fpr95"] == 0.25
    assert told["told"] == 0.5
    assert told["told_ci"] == pytest.approx([0.0976, 0.9024], abs=1e-4)
    assert told["samples"] == 4
    assert "told" not in unknown_metrics(known, unknown, None)


def test_the_interval_is_that_of_any_auroc():
    draw = np.random.default_rng(0)
    told = unknown_metrics(draw.normal(1, 1, 200), draw.normal(0, 1, 100), None)
    low, high = told["auroc_ci"]
    # Hanley and McNeil's standard error is 0.028 here.
    assert 0.08 < high - low < 0.14
    assert low < told["auroc"] < high


def test_all_told_apart_has_no_interval():
    told = unknown_metrics(np.arange(5.0), np.array([-1.0]), 0)
    assert (told["auroc"], told["auroc_ci"], told["fpr95"], told["told"]) == (1, None, 0, 1)


def test_what_sets_hold():
    sets = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
    metrics = known_metrics(np.array([False, False, True, False]), sets, np.array([0, 2, 1, 1]))
    assert metrics["set_coverage"] == 0.75
    assert metrics["set_size"] == 7 / 4
    assert metrics["passed"] == 0.75
    assert metrics["set_coverage_ci"] == metrics["passed_ci"]
    assert "passed" not in known_metrics(None, sets, np.zeros(4, int))
