"""Names and directions of metrics come from one table, which costs no torch."""

import subprocess
import sys

import pytest

from graft.configuration.metric_names import (
    ASSESSED,
    SINGLE_LABEL,
    VALIDATED,
    WATCHED,
    lower_is_better,
    metric_of,
)


@pytest.mark.parametrize("name", ["loss", "log_loss", "brier", "ece"])
def test_of_losses_and_errors_lower_is_better(name):
    assert lower_is_better(f"val/{name}")
    assert lower_is_better(f"uncalibrated/{name}")


def test_of_all_others_more_is_better():
    others = {metric.name for metric in SINGLE_LABEL} - {"loss", "log_loss", "brier", "ece"}
    assert not any(lower_is_better(f"test/{name}") for name in others)
    assert len(others) == 7


def test_a_metric_of_ones_own_is_a_loss_if_its_name_says_so():
    assert lower_is_better("val/focal_loss")
    assert not lower_is_better("val/kappa")
    assert (metric_of("val/kappa").most, metric_of("val/focal_loss").most) == (1.0, float("inf"))


def test_what_can_be_watched_is_what_epochs_log():
    assert VALIDATED == (
        "val/loss",
        "val/accuracy",
        "val/precision_macro",
        "val/recall_macro",
        "val/f1_macro",
        "val/score",
    )
    assert {key.replace("train/", "val/") for key in WATCHED} == set(VALIDATED)
    # It is validation's alone.
    assert "train/score" not in WATCHED
    assert "loss" not in ASSESSED


def test_to_ask_for_a_direction_costs_no_torch():
    code = (
        "import sys\nimport graft.configuration.metric_names\n"
        "sys.exit(bool({'numpy', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
