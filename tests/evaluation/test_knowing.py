"""Of known samples so many pass, and of sets so many hold the true label, as was promised, to the rank."""

import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance

from graft.evaluation.knowing import fit_score, limit_of, remembered, threshold_of
from graft.evaluation.none_of_these import label_sets, mahalanobis, nearest, softmax


def test_the_threshold_is_the_order_statistic_that_keeps_the_promise():
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 101))
    assert threshold_of(scores) == 5
    assert threshold_of(scores[:100], 0.9) == 10
    # A further score is below the lowest of 19 once in 20 times, and of 18 more often.
    assert threshold_of(np.arange(19.0)) == 0
    assert threshold_of(np.arange(18.0)) is None


@pytest.mark.parametrize("count", [19, 30, 100])
def test_of_further_samples_95_percent_pass(count):
    draw = np.random.default_rng(count)
    passed = [(draw.normal(size=100) >= threshold_of(draw.normal(size=count))).mean() for _ in range(3000)]
    # The mean's standard deviation is below .001.
    assert 0.95 - 0.004 < np.mean(passed) < 0.95 + 1 / (count + 1) + 0.004


def simulated(draw, count, classes=5):
    """Probabilities of a model that is right in 55 % of cases or so, and true labels drawn by them."""
    p = softmax(draw.normal(0, 1.5, (count, classes)))
    return p, (draw.random((count, 1)) > p.cumsum(1)).sum(1)


@pytest.mark.parametrize("count", [9, 10, 25, 200])
def test_sets_hold_the_true_label_in_90_percent_and_hardly_more(count):
    """By n in place of n + 1, ten samples would give a limit that covers 9 / 11, 82 %."""
    draw = np.random.default_rng(count)
    covered = []
    for _ in range(2000):
        limit = limit_of(*simulated(draw, count))
        p, labels = simulated(draw, 50)
        sets = label_sets(p, limit)
        assert sets.any(1).all()
        covered.append(sets[np.arange(50), labels].mean())
    assert 0.9 - 0.006 < np.mean(covered) < 0.9 + 1 / (count + 1) + 0.006


def test_where_the_first_label_is_right_often_enough_sets_hold_it_alone():
    p = softmax(np.random.default_rng(0).normal(0, 2, (100, 4)))
    labels = p.argmax(1)
    labels[:9] = (labels[:9] + 1) % 4
    assert limit_of(p, labels) == 0
    assert (label_sets(p, limit_of(p, labels)).sum(1) == 1).all()


def test_few_samples_give_sets_of_all_labels():
    p = softmax(np.random.default_rng(0).normal(0, 2, (8, 4)))
    assert limit_of(p, p.argmax(1)) == 1
    assert label_sets(p, 1).all()


def test_what_is_remembered_is_bounded_and_of_each_class_alike():
    labels = np.repeat([0, 1, 2], [5000, 700, 20])
    some = remembered(labels, 3)
    assert np.bincount(labels[some]).tolist() == [490, 490, 20]
    assert some.tolist() == sorted(set(some.tolist())) == remembered(labels, 3).tolist()
    assert remembered(labels, 3, seed=1).tolist() != some.tolist()
    assert remembered(labels[:900], 3).tolist() == list(range(900))
    assert len(remembered(np.arange(20_000) % 200, 200)) == 2000
    assert len(remembered(np.arange(20_000) % 2000, 2000)) == 5000


def test_drawing_moves_no_random_stream():
    before = np.random.get_state()[1].tolist()
    remembered(np.zeros(3000, int), 1)
    assert np.random.get_state()[1].tolist() == before


def test_knn_remembers_features_of_length_1_and_no_more_neighbours_than_a_class_has():
    rows = np.random.default_rng(0).normal(size=(40, 7)) * 100
    arrays, neighbours = fit_score("knn", rows, np.repeat([0, 1], 20))
    assert neighbours == 5
    assert np.linalg.norm(arrays["bank"], axis=1) == pytest.approx(1, abs=1e-3)
    assert nearest(rows, arrays["bank"], 1) == pytest.approx(0, abs=2e-3)
    assert fit_score("knn", rows[:6], np.repeat([0, 1, 2], 2))[1] == 2
    assert fit_score("knn", rows[:3], np.arange(3))[1] == 1


def test_with_many_samples_mahalanobis_is_by_the_usual_covariance():
    draw = np.random.default_rng(0)
    labels = np.arange(60_000) % 3
    centres, mix = draw.normal(0, 4, (3, 4)), draw.normal(size=(4, 4))
    rows = centres[labels] + draw.normal(size=(len(labels), 4)) @ mix
    arrays, _ = fit_score("mahalanobis", rows, labels)
    means = np.stack([rows[labels == label].mean(0) for label in range(3)])
    inverse = EmpiricalCovariance(assume_centered=True).fit(rows - means[labels]).precision_
    given = draw.normal(0, 5, (20, 4))
    apart = given[:, None] - means
    expected = -np.einsum("ncd,de,nce->nc", apart, inverse, apart).min(1)
    assert mahalanobis(given, arrays["means"], arrays["whitening"]) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        (np.random.default_rng(0).normal(size=(12, 90)), np.arange(12) % 3),
        (np.random.default_rng(0).normal(size=(4, 6)), np.arange(4)),
        (np.repeat(np.random.default_rng(0).normal(size=(30, 2)), 3, axis=1), np.arange(30) % 2),
    ],
    ids=["more features than samples", "one sample a class", "features that say the same"],
)
def test_mahalanobis_is_a_number_where_the_covariance_has_no_inverse(rows, labels):
    arrays, _ = fit_score("mahalanobis", rows, labels)
    own = mahalanobis(rows, arrays["means"], arrays["whitening"])
    far = mahalanobis(rows + 100 * np.eye(rows.shape[1])[0], arrays["means"], arrays["whitening"])
    assert np.isfinite(own).all()
    assert far.max() < own.min()
