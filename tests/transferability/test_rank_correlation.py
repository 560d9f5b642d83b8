"""Rank correlations are scipy's, and none is made of too little."""

import pytest

from graft.transferability import rank_correlations


def test_order_and_disorder() -> None:
    agrees = rank_correlations([1, 2, 3, 4], [0.1, 0.2, 0.7, 0.9])
    assert agrees is not None
    assert agrees == pytest.approx((1, 1, 4))
    assert rank_correlations([4, 3, 2, 1], [0.1, 0.2, 0.7, 0.9]) == pytest.approx((-1, -1, 4))


def test_what_is_wrong_at_the_top_weighs_more() -> None:
    reached = [0.1, 0.2, 0.3, 0.4, 0.5]
    top, bottom = (rank_correlations(scores, reached) for scores in ([1, 2, 3, 5, 4], [2, 1, 3, 4, 5]))
    assert top is not None
    assert bottom is not None
    assert top.spearman == pytest.approx(bottom.spearman)
    assert top.weighted_tau < bottom.weighted_tau < 1


@pytest.mark.parametrize(
    ("scores", "reached"), [([], []), ([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [2, 2, 2])]
)
def test_too_little_to_tell(scores, reached) -> None:
    assert rank_correlations(scores, reached) is None
