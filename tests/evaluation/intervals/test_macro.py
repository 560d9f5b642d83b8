"""Intervals of means over classes."""

import numpy as np
import pytest

from graft.evaluation.intervals.macro import macro_ends
from graft.evaluation.intervals.proportions import proportion_ends


def test_two_equal_classes_have_accuracys_interval():
    counts = np.array([[40, 10], [10, 40]])
    expected = tuple(map(float, proportion_ends(80, 100)))
    for ends in macro_ends(counts).values():
        assert ends == pytest.approx(expected, abs=0.005)


def test_no_error_is_no_certainty():
    for key, (low, high) in macro_ends(np.diag([15, 15])).items():
        assert (round(low, 2), high) == (0.89, 1.0), key
    # Of a rare class little is known, and it counts for half.
    assert macro_ends(np.diag([27, 3]))["recall"][0] < 0.75


def test_a_rare_classs_errors_weigh_more():
    common, rare = np.array([[86, 4], [0, 10]]), np.array([[90, 0], [4, 6]])
    widths = [ends[1] - ends[0] for ends in (macro_ends(common)["recall"], macro_ends(rare)["recall"])]
    assert widths[1] > 1.5 * widths[0]


@pytest.mark.parametrize("counts", [[[9, 0], [1, 0]], [[9, 1], [0, 0]], [[9, 0, 0], [0, 9, 0], [0, 0, 1]]])
def test_a_class_with_one_image_or_none_leaves_no_interval(counts):
    assert set(macro_ends(np.array(counts)).values()) == {None}


def test_a_class_that_is_never_predicted_has_a_recall_alone():
    ends = macro_ends(np.array([[9, 0], [4, 0]]))
    assert ends["recall"] is not None
    assert ends["precision"] is ends["f1"] is None


def test_the_variance_is_that_of_draws():
    """Drawn anew from a large table, macro F1 and precision scatter as their intervals say."""
    rng = np.random.default_rng(0)
    counts = np.array([[500, 60, 20], [30, 200, 10], [5, 15, 80]])
    drawn = rng.multinomial(counts.sum(), counts.ravel() / counts.sum(), 4000).reshape(-1, 3, 3)
    hits, support, predicted = drawn.diagonal(axis1=1, axis2=2), drawn.sum(2), drawn.sum(1)
    for key, values in (
        ("precision", (hits / predicted).mean(1)),
        ("recall", (hits / support).mean(1)),
        ("f1", (2 * hits / (support + predicted)).mean(1)),
    ):
        low, high = macro_ends(counts)[key]
        assert high - low == pytest.approx(2 * 1.96 * values.std(), rel=0.12)
