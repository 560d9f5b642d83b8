"""Mean, deviation and interval over folds are what they are called."""

import math
from statistics import mean, stdev

import pytest

from graft.reporting.folds import Fold, cells, corrected_interval, page, rows_of

VALUES = [0.90, 0.94, 0.92, 0.88, 0.96]


def folds(values=VALUES):
    return [
        Fold(1, place, 64, 16, 20, {"test/accuracy": value, "test/auroc": None, "test/loss": 1.0, "epoch": 3})
        for place, value in enumerate(values, start=1)
    ]


def test_the_interval_is_the_corrected_one():
    """The plain t interval, without the share of test images, is a third narrower."""
    low, high = corrected_interval(VALUES, 0.25)
    half = 2.7764451 * stdev(VALUES) * math.sqrt(1 / 5 + 20 / 80)
    assert (low, high) == pytest.approx((mean(VALUES) - half, mean(VALUES) + half))
    assert corrected_interval([0.5], 0.25) is None
    # Folds without an error say nothing of their spread.
    assert corrected_interval([1.0] * 5, 0.25) is None
    assert corrected_interval([1.0, 1.0, 0.9], 0.25, 1.0)[1] == 1.0
    assert corrected_interval([0.0, 0.0, 0.1], 0.25)[0] == 0.0


def test_a_metric_is_a_row():
    together = {"test/accuracy": 0.921, "test/accuracy_ci": [0.9, 0.94]}
    accuracy, auroc = rows_of(folds(), [together], ["accuracy", "auroc"])
    assert accuracy["mean"] == pytest.approx(0.92)
    assert accuracy["deviation"] == pytest.approx(stdev(VALUES))
    assert (accuracy["low"], accuracy["high"]) == corrected_interval(VALUES, 20 / 64, 1.0)
    assert (accuracy["pooled"], accuracy["pooled_low"], accuracy["pooled_high"]) == (0.921, 0.9, 0.94)
    assert [accuracy[f"repeat 1 fold {fold}"] for fold in range(1, 6)] == VALUES
    assert auroc["mean"] is auroc["low"] is auroc["pooled"] is None
    assert auroc["folds"] == 0
    _, (first, second) = cells([accuracy, auroc])
    assert first[1] == "0.9200 ± 0.0316"
    assert second[1:] == ["–"] * 4


def test_what_the_images_together_cannot_tell_the_folds_cannot_either():
    """Of five folds with an error or two in all, a log loss's interval held the truth 60 times in 100."""
    some = [
        Fold(1, place, 64, 16, 20, {"test/log_loss": value, "test/loss": value, "test/accuracy": 1.0 - value})
        for place, value in enumerate((0.01, 0.02, 0.01, 0.30, 0.02), start=1)
    ]
    together = {"test/log_loss": 0.07, "test/accuracy": 0.93, "test/accuracy_ci": [0.86, 0.97]}
    accuracy, log_loss, loss = rows_of(some, [together], ["accuracy", "log_loss", "loss"])
    assert accuracy["low"] < accuracy["mean"] < accuracy["high"]
    assert log_loss["mean"] == loss["mean"] == pytest.approx(0.072)
    assert log_loss["low"] is log_loss["high"] is loss["low"] is None
    _, loss = rows_of(some, [together | {"test/log_loss_ci": [0.02, 0.2]}], ["accuracy", "loss"])
    assert loss["low"] < loss["mean"] < loss["high"]


def test_a_failed_fold_is_named_and_counted_nowhere():
    some = [*folds(VALUES[:4]), Fold(1, 5, 64, 16, 20, {}, "GraftError: the loss became nan")]
    (row,) = rows_of(some, [], ["accuracy"])
    assert row["folds"] == 4
    assert row["mean"] == pytest.approx(mean(VALUES[:4]))
    assert row["repeat 1 fold 5"] is None
    text = page("lenet-full", "100 images in 5 folds", [row], some, ["figures/x.png"])
    assert "| repeat 1 fold 5 | 64 | 16 | 20 | – | – | failed: GraftError: the loss became nan |" in text
    assert "not independent" in text
    assert "Nadeau and Bengio" in text
    assert "![figures/x.png](figures/x.png)" in text
