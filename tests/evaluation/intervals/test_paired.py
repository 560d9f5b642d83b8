"""The interval of a difference of two accuracies on the same images."""

import numpy as np
import pytest

from graft.evaluation.intervals import paired_ends


def outcomes(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = (both, only_first, only_second, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def test_both_ends_are_those_of_the_method_with_wilsons_intervals() -> None:
    # Of 50 images 48 and 38. By Wilson's intervals alone the method gives 0.0569 and 0.3404; those of few
    # errors are a little wider here.
    low, high = paired_ends(*outcomes(36, 12, 2, 0))
    assert (low, high) == pytest.approx((0.0569, 0.3404), abs=5e-3)


def test_it_is_the_other_way_round_for_the_other_first() -> None:
    first, second = outcomes(60, 9, 3, 8)
    low, high = paired_ends(first, second)
    assert paired_ends(second, first) == pytest.approx((-high, -low))
    assert low < 6 / 80 < high


def test_models_that_are_never_apart_differ_by_little() -> None:
    low, high = paired_ends(*outcomes(100, 0, 0, 0))
    assert low == pytest.approx(-high)
    assert 0 < high < 0.06


def test_it_covers_about_as_often_as_it_says() -> None:
    stream = np.random.default_rng(0)
    shares = np.array([0.80, 0.06, 0.03, 0.11])
    covered = 0
    for _ in range(400):
        low, high = paired_ends(*outcomes(*stream.multinomial(300, shares)))
        covered += low <= 0.03 <= high
    assert 0.92 <= covered / 400 <= 0.98
