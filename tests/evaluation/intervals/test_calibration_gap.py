"""The calibration error's interval begins at 0 for a calibrated model."""

import numpy as np
import pytest

from graft.evaluation.intervals.calibration_gap import calibration_ends
from graft.evaluation.metrics import expected_calibration_error


def said(images, sure=1.0, seed=0):
    """Answers about two classes; with `sure` 1 each is right with the probability that it says."""
    rng = np.random.default_rng(seed)
    logit = 2 * rng.normal(size=images)
    labels = (rng.random(images) < 1 / (1 + np.exp(-logit))).astype(int)
    p = 1 / (1 + np.exp(-sure * logit))
    p = np.stack([1 - p, p], axis=1)
    return labels, p, p.argmax(1)


@pytest.mark.parametrize("images", [100, 500])
def test_a_calibrated_models_interval_holds_0(images):
    found = [calibration_ends(*said(images, seed=seed)) for seed in range(60)]
    given = [ends for ends in found if ends is not None]
    assert len(given) > 30
    assert np.mean([low == 0 for low, _ in given]) >= 0.9


def test_the_value_itself_may_lie_high_in_it():
    answers = said(200)
    low, high = calibration_ends(*answers)
    assert low == 0 < expected_calibration_error(*answers) < high + 0.02


def test_an_over_confident_models_does_not():
    low, high = calibration_ends(*said(2000, sure=3))
    truth = expected_calibration_error(*said(200_000, sure=3, seed=1))
    assert 0.02 < low < truth < high < 0.2


@pytest.mark.parametrize("answers", [said(99), (*said(400)[:2], said(400)[0])])
def test_few_images_or_errors_have_none(answers):
    assert calibration_ends(*answers) is None
