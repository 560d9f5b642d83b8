"""What a comparison over folds says, and what held-out images promise for a test."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from graft.advice.trust import Pair, compared, folds_within, paired, promised, right_of
from graft.reporting.folds import Fold, corrected_interval


def pairs(head: list[float], other: list[float]) -> list[Pair]:
    return [Pair(fold, *values, 80, 20) for fold, values in enumerate(zip(head, other, strict=True), start=1)]


def test_the_interval_allows_for_images_that_folds_share() -> None:
    """It is the one that `graft crossval` gives a mean (Nadeau and Bengio), of the differences."""
    head, other = [0.80, 0.82, 0.79, 0.85, 0.81], [0.86, 0.86, 0.84, 0.90, 0.85]
    found = compared(pairs(head, other))
    values = [b - a for a, b in zip(head, other, strict=True)]
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.low, found.high) == pytest.approx(corrected_interval(values, 0.25))
    plain = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert found.high is not None
    assert found.high - found.mean > 1.4 * (plain[1] - np.mean(values))


def test_one_standard_error_decides() -> None:
    ahead = compared(pairs([0.80, 0.80, 0.80], [0.84, 0.84, 0.85]))
    noise = compared(pairs([0.80, 0.80, 0.80], [0.84, 0.77, 0.80]))
    assert noise.error == pytest.approx(stats.sem([0.04, -0.03, 0.0]))
    behind = compared(pairs([0.80, 0.80, 0.80], [0.74, 0.75, 0.73]))
    assert [one.worth_it for one in (ahead, noise, behind)] == [True, False, False]
    assert [one.measurable for one in (ahead, noise, behind)] == [True, False, True]


def test_equal_differences_say_nothing_of_their_spread() -> None:
    found = compared(pairs([0.5, 0.5], [0.6, 0.6]))
    assert (found.low, found.high, found.worth_it, found.measurable) == (None, None, False, False)


def test_as_many_folds_as_there_is_time_for() -> None:
    first = [folds_within(10, seconds)[:1] for seconds in (1000, 100, 50, 49, 30, 29, 0)]
    assert first == [[(10, 4)], [(10, 1)], [(5, 1)], [(3, 1)], [(3, 1)], [], []]
    # Where a class is too rare for ten, fewer are cut more often.
    assert folds_within(10, 100) == [(10, 1), (5, 2), (3, 3)]


def fold(number: int, accuracy: float, tested: int) -> Fold:
    return Fold(1, number, 80, 10, tested, {"test/accuracy": accuracy})


def test_held_out_images_are_counted_over_folds() -> None:
    once = [fold(1, 0.9, 20), fold(2, 0.75, 16)]
    assert right_of(once) == (30, 36)
    # Other cuts of the same images do not make more of them.
    assert right_of([*once, *(replace(each, repeat=2) for each in once)]) == (30, 36)
    (pair,) = paired([[fold(1, 0.9, 20), fold(1, 0.95, 20)]], "accuracy")
    assert (pair.head, pair.other) == (0.9, 0.95)


@pytest.mark.parametrize(
    ("chance", "images", "tested"), [(0.95, 250, 150), (0.8, 100, 60), (0.99, 1000, 300)]
)
def test_the_promise_holds_for_a_test_of_other_images(chance: float, images: int, tested: int) -> None:
    """A binomial interval of the held-out images alone would hold in four of five."""
    rng = np.random.default_rng(0)
    held = 0
    for right in rng.binomial(images, chance, 400):
        ends = promised(int(right), images, tested)
        held += ends.low <= rng.binomial(tested, chance) / tested <= ends.high
    assert held / 400 >= 0.93
