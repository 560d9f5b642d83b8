"""Intervals of AUROC and average precision."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from graft.evaluation.intervals.rankings import class_statistics, ranking_ends


def answers(images, apart, classes=2, seed=0, tied=False):
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    scores = rng.normal(size=(images, classes)) + apart * np.eye(classes)[labels]
    return labels, np.round(scores) if tied else scores


@pytest.mark.parametrize("tied", [False, True])
def test_the_values_are_scikit_learns(tied):
    labels, scores = answers(60, 1.0, tied=tied)
    found = class_statistics(labels == 1, scores[:, 1])
    assert found["auroc"].value == pytest.approx(roc_auc_score(labels == 1, scores[:, 1]))
    expected = average_precision_score(labels == 1, scores[:, 1])
    assert found["average_precision"].value == pytest.approx(expected)


@pytest.mark.parametrize("key", ["auroc", "average_precision"])
@pytest.mark.parametrize("tied", [False, True])
def test_the_variance_is_that_of_leaving_out_one_image_after_another(key, tied):
    labels, scores = answers(400, 1.0, tied=tied)
    positive, score = labels == 1, scores[:, 1]
    every = np.arange(len(labels))
    left = np.array([class_statistics(positive[every != i], score[every != i])[key].value for i in every])
    jackknife = (len(left) - 1) / len(left) * ((left - left.mean()) ** 2).sum()
    assert (class_statistics(positive, score)[key].influence ** 2).sum() == pytest.approx(jackknife, rel=0.05)


def test_delongs_variance_of_a_case_done_by_hand():
    """Placements of the positives 1, 1/2 and of the negatives 1/2, 1: each has the variance 1/8, over two."""
    found = class_statistics(np.array([True, True, False, False]), np.array([4.0, 2.0, 3.0, 1.0]))["auroc"]
    assert found.value == 0.75
    assert (found.influence**2).sum() == pytest.approx(1 / 8 / 2 + 1 / 8 / 2)


def test_a_perfect_ranking_has_no_interval():
    labels, scores = np.arange(60) % 2, np.zeros((60, 2))
    scores[np.arange(60), labels] = np.arange(1, 61)
    means, classes = ranking_ends(labels, scores)
    assert means == {"auroc": None, "average_precision": None}
    assert classes == {"auroc": [None, None], "average_precision": [None, None]}


def test_a_mean_with_a_perfect_class_has_none_either():
    labels, scores = answers(300, 1.0, classes=3)
    scores[:, 2] = labels == 2
    means, classes = ranking_ends(labels, scores)
    assert classes["auroc"][2] is means["auroc"] is None
    assert classes["auroc"][0][0] < classes["auroc"][0][1] < 1


def test_few_images_of_a_class_have_no_average_precision():
    means, classes = ranking_ends(*answers(38, 0.5))
    assert means["auroc"] is not None
    assert means["average_precision"] is None
    assert classes["average_precision"] == [None, None]


def test_ever_more_images_have_delongs_plain_interval():
    labels, scores = answers(4000, 1.0)
    means, classes = ranking_ends(labels, scores)
    statistic = class_statistics(labels == 1, scores[:, 1])["auroc"]
    half = 1.96 * (statistic.influence**2).sum() ** 0.5
    expected = (statistic.value - half, statistic.value + half)
    assert classes["auroc"][1] == pytest.approx(expected, abs=0.001)
    assert means["auroc"][1] - means["auroc"][0] <= 2.2 * half
