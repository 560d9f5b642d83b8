"""The interval of a gain covers, also where hardly anything differs."""

import numpy as np

from graft.evaluation.gain import gain


def test_by_hand() -> None:
    before = np.array([True] * 90 + [False] * 10)
    after = np.array([True] * 88 + [False] * 2 + [True] * 7 + [False] * 3)
    value, low, high = gain(before, after)
    assert value == np.float64(7 - 2) / 100
    # Agresti and Min: 7.5 and 2.5 of 102.
    middle, half = 5 / 102, 1.959964 * np.sqrt(10 - 25 / 102) / 102
    np.testing.assert_allclose([low, high], [middle - half, middle + half], rtol=1e-6)


def test_models_that_never_differ_have_an_interval_about_nothing() -> None:
    value, low, high = gain(np.ones(50, bool), np.ones(50, bool))
    assert value == 0
    assert -0.06 < low < 0 < high < 0.06


def test_it_covers_as_it_says() -> None:
    stream, held = np.random.default_rng(0), 0
    for _ in range(2000):
        kinds = stream.choice(4, 60, p=[0.8, 0.1, 0.04, 0.06])
        _, low, high = gain(np.isin(kinds, (0, 2)), np.isin(kinds, (0, 1)))
        held += low <= 0.1 - 0.04 <= high
    assert 0.93 < held / 2000 < 0.985
