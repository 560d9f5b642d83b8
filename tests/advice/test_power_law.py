"""A power law's intervals hold the truth as often as they say, also where a curve is flat or says little."""

import numpy as np
import pytest
from scipy.stats import norm

from graft.advice.power_law import fit_power_law

SHARES = np.array([0.1, 0.2, 0.4, 0.7, 1.0])
LAWS = {
    "steep": (0.03, 5.0, 1.0),
    "usual": (0.05, 1.5, 0.5),
    "slow": (0.0, 1.0, 0.3),
    "flat": (0.1, 0.0, 0.5),
}


def measured(law, images, rng, draws=4):
    """Sizes, mean errors and their covariance: binomial, half of an answer being the image, half the draw."""
    floor, scale, exponent = law
    sizes = 0.8 * images * SHARES
    ease = rng.normal(size=images) + rng.normal(size=(draws, len(sizes), images))
    wrong = ease / np.sqrt(2) < norm.ppf(floor + scale * sizes**-exponent)[:, None]
    covariance = np.cov(wrong.mean(0)) / images + np.diag(wrong.mean(2).var(0, ddof=1) / draws + 1e-8)
    return sizes, wrong.mean((0, 2)), covariance


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
@pytest.mark.parametrize("images", [200, 1000])
def test_nine_of_ten_intervals_or_more_hold_the_gain_of_twice_the_images(law, images):
    rng = np.random.default_rng(0)
    _, scale, exponent = law
    truth = scale * (images**-exponent - (2 * images) ** -exponent)
    gains = [fit_power_law(*measured(law, images, rng)).gain(images, 2 * images) for _ in range(60)]
    assert np.mean([low <= truth + 1e-12 and truth <= high for _, low, high in gains]) >= 0.9
    # They are no wider than a gain may be, and around the truth.
    assert np.median([high for *_, high in gains]) < 0.1
    assert np.median([value for value, *_ in gains]) == pytest.approx(truth, abs=0.012)


def test_exact_measurements_give_the_law_itself():
    sizes = 800 * SHARES
    law = fit_power_law(sizes, 0.05 + 1.5 * sizes**-0.5, 1e-8 * np.eye(5))
    assert law.error(800).value == pytest.approx(0.05 + 1.5 * 800**-0.5, abs=1e-3)
    assert law.gain(800, 1600).value == pytest.approx(1.5 * (800**-0.5 - 1600**-0.5), abs=8e-4)


def test_more_noise_is_a_wider_interval_and_never_a_loss():
    sizes = 200 * SHARES
    errors = 0.1 + 0.8 * sizes**-0.5
    sharp, blunt = (fit_power_law(sizes, errors, noise * np.eye(5)).gain(200, 400) for noise in (1e-6, 1e-3))
    assert blunt.high - blunt.low > 1.5 * (sharp.high - sharp.low)
    assert 0 <= blunt.low <= blunt.value <= blunt.high


def test_what_is_no_power_law_is_told_by_the_misfit_and_by_wider_intervals():
    sizes, noise = 800 * SHARES, 1e-5 * np.eye(5)
    smooth = 0.05 + 1.5 * sizes**-0.5
    zigzag = smooth + 0.02 * np.array([1, -1, 1, -1, 1])
    straight, crooked = (fit_power_law(sizes, errors, noise) for errors in (smooth, zigzag))
    assert straight.misfit < 1 < crooked.misfit
    width = [law.gain(800, 1600).high - law.gain(800, 1600).low for law in (straight, crooked)]
    assert width[1] > 1.5 * width[0]


def test_errors_that_rise_are_a_flat_curve():
    law = fit_power_law(400 * SHARES, [0.10, 0.11, 0.12, 0.13, 0.14], 1e-4 * np.eye(5))
    assert law.gain(400, 800).value == pytest.approx(0, abs=1e-3)
    assert law.error(400).low <= 0.13 <= law.error(400).high
