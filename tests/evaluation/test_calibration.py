"""A temperature makes confidences honest and changes no prediction."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from graft.evaluation.calibration import at_bound, fit_temperature, log_odds, probabilities_of


def overconfident(count=4000, times=3.0, seed=0):
    """Logits whose softmax, at the temperature `times`, is what the labels were drawn from."""
    noise = torch.Generator().manual_seed(seed)
    honest = 2 * torch.randn(count, 4, generator=noise)
    labels = torch.multinomial(honest.softmax(1), 1, generator=noise).squeeze(1)
    return honest * times, labels


@pytest.mark.parametrize("times", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found(times):
    logits, labels = overconfident(times=times)
    assert fit_temperature(logits, labels) == pytest.approx(times, rel=0.06)


def test_no_other_temperature_has_a_lower_loss():
    logits, labels = overconfident(300)
    fitted = fit_temperature(logits, labels)
    least = cross_entropy(logits.double() / fitted, labels)
    for other in np.geomspace(0.1, 50, 60):
        assert least <= cross_entropy(logits.double() / other, labels) + 1e-12


def test_a_known_answer():
    """Two classes, logits ±1, three of four right: 1/T = ln 3 / 2, since the sigmoid of ln 3 is 3/4."""
    logits = torch.tensor([[1.0, -1.0]]).repeat(4, 1)
    assert fit_temperature(logits, torch.tensor([0, 0, 0, 1])) == pytest.approx(2 / np.log(3), rel=1e-5)


def test_where_all_is_right_no_temperature_is_best():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(logits, torch.tensor([0, 1])) is None


def test_worse_than_guessing_ends_at_a_limit():
    logits = torch.tensor([[3.0, 0.0], [0.0, 3.0]])
    temperature = fit_temperature(logits, torch.tensor([1, 0]))
    assert temperature == pytest.approx(100, rel=1e-3)
    assert at_bound(temperature)
    assert at_bound(0.01)
    assert not at_bound(99)


@pytest.mark.parametrize("temperature", [0.1, 2.5, 40.0])
def test_predictions_stay_and_one_changes_no_bit(temperature):
    logits, _ = overconfident(500)
    assert torch.equal(probabilities_of(logits, temperature).argmax(1), logits.argmax(1))
    assert torch.equal(probabilities_of(logits), logits.softmax(1))


def test_log_odds_are_those_of_the_softmax():
    logits = np.random.default_rng(0).normal(size=(50, 4))
    p = torch.from_numpy(logits).softmax(1).numpy()
    assert log_odds(logits) == pytest.approx(np.log(p / (1 - p)))
    # Of probabilities the same, since logits may be moved.
    assert log_odds(np.log(p)) == pytest.approx(log_odds(logits))


@pytest.mark.parametrize("ahead", [30.0, 40.0, 800.0])
def test_log_odds_tell_apart_what_rounds_to_one(ahead):
    first, second = log_odds(np.array([[ahead, 0.0], [ahead + 1, 0.0]]))
    assert first.tolist() == [ahead, -ahead]
    assert second.tolist() == [ahead + 1, -ahead - 1]


def test_log_odds_are_finite():
    assert np.isfinite(log_odds(np.array([[0.0, -np.inf], [5.0, 5.0]]))).all()
    assert np.isfinite(log_odds(np.zeros((2, 1)))).all()
