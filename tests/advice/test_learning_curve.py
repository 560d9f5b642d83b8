"""Whether more labels would help is measured on images that a head was no part of."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from graft.advice import curve_figure
from graft.advice.learning_curve import SHARES, LearningCurve, covariance_of, learning_curve, nested
from graft.advice.power_law import fit_power_law


def clouds(count, apart, classes=2, width=8, seed=0):
    """Features and labels of classes that are so far apart."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % classes)
    features = rng.normal(size=(count, width))
    features[np.arange(count), labels] += apart
    return torch.from_numpy(features).float(), labels


@pytest.fixture(scope="module")
def curve() -> LearningCurve:
    """Of 300 images of two clouds that overlap."""
    return learning_curve(*clouds(300, 2.0, width=40), 2)


def test_the_curve_falls_and_the_truth_is_in_the_interval(curve):
    assert curve.sizes.tolist() == pytest.approx([24, 48, 96, 168, 240], abs=1)
    assert curve.errors.shape == (5, 5)
    assert (curve.judged, curve.now) == (300, 300)
    means = curve.errors.mean(0)
    assert means[0] > means[2] > means[4] - 0.02
    gain = curve.gain()
    assert gain.low <= gain.value <= gain.high
    # What twice as many images really give, to others of the same kind.
    more = [learning_curve(*clouds(750, 2.0, width=40, seed=seed), 2).errors.mean(0) for seed in (1, 2)]
    truth = np.mean(more, axis=0)
    sizes = 0.8 * 750 * np.array(SHARES)
    now, twice = np.interp(np.log([300, 600]), np.log(sizes), truth)
    assert gain.low - 0.01 <= now - twice <= gain.high + 0.01


def test_the_rows_say_what_was_measured(curve):
    assert [row["draws"] for row in curve.points] == [5] * 5
    assert curve.points[-1]["accuracy"] == pytest.approx(1 - curve.errors[:, -1].mean())
    assert curve.points[0]["deviation"] == pytest.approx(curve.errors[:, 0].std(ddof=1))


def test_the_sentence_says_gain_and_interval():
    sizes = 800 * np.array(SHARES)
    law = fit_power_law(sizes, 0.05 + 1.5 * sizes**-0.5, 1e-6 * np.eye(5))
    said = LearningCurve(sizes, np.empty((3, 5)), 1000, 1000, law)
    assert said.told
    low, high = said.gain().low, said.gain().high
    value = f"{100 * said.gain().value:.1f} points of accuracy ({100 * low:.1f} to {100 * high:.1f})"
    assert said.sentence() == f"twice the labels (2,000 for 1,000): +{value}"
    blunt = LearningCurve(sizes, np.empty((3, 5)), 1000, 1000, fit_power_law(sizes, sizes**-0.4, np.eye(5)))
    assert not blunt.told
    assert "cannot be told, anything from +0.0 to" in blunt.sentence()


def test_few_images_are_no_curve():
    few = learning_curve(*clouds(40, 2.0, classes=10, width=10), 10)
    assert few.gain() is None
    assert not few.told
    assert few.sentence() == (
        "what twice the labels would give cannot be told: "
        "40 images of 10 classes are too few to leave some out"
    )
    lone = learning_curve(torch.randn(3, 4), np.arange(3), 3)
    assert "too few" in lone.sentence()


def test_where_nothing_is_wrong_there_is_nothing_to_fit():
    known = learning_curve(*clouds(100, 30.0, width=2), 2)
    assert known.law is None
    assert "too few are wrong" in known.sentence()
    assert [row["images"] for row in known.points] == [16, 32, 56, 80]


def test_labels_at_random_promise_nothing():
    features, labels = clouds(200, 0.0)
    gain = learning_curve(features, labels, 2).gain()
    assert gain.low < 0.01


def test_parts_are_stratified_and_each_is_within_the_next():
    labels = np.repeat([0, 1, 2], [100, 60, 40])
    fold = (np.arange(0, 200, 2), np.arange(1, 200, 2))
    parts = [learn for learn, _ in nested(fold, labels, None, list(SHARES), np.random.default_rng(0))]
    assert [len(part) for part in parts] == [10, 20, 40, 70, 100]
    for smaller, larger in pairwise(parts):
        assert set(smaller) < set(larger)
    for part in parts:
        shares = np.bincount(labels[part], minlength=3) / len(part)
        assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.1)
    assert sorted(parts[-1]) == list(fold[0])


def test_what_belongs_together_is_drawn_together_and_never_judges_itself():
    features, labels = clouds(240, 2.0)
    order = np.argsort(labels, kind="stable")
    features, labels = features[order], labels[order]
    groups = np.arange(240) // 6
    fold = (np.flatnonzero(groups % 2 == 0), np.flatnonzero(groups % 2))
    for learn, _ in nested(fold, labels, groups, list(SHARES), np.random.default_rng(0)):
        _, counts = np.unique(groups[learn], return_counts=True)
        assert set(counts) == {6}
        assert not set(groups[learn]) & set(groups[fold[1]])
    # Copies of one image in a group say no more than the image: the interval is wider.
    wrong = np.repeat(np.random.default_rng(0).random((1, 5, 40)).repeat(3, axis=0) < 0.2, 6, axis=2).astype(
        float
    )
    sizes = 192 * np.array(SHARES)
    alone, together = (covariance_of(wrong, sizes, 5, 240, of) for of in (None, groups))
    assert together[0, 0] == pytest.approx(6 * alone[0, 0], rel=1e-3)


@pytest.mark.figures
def test_the_figure_shows_points_law_and_band(curve):
    figure = curve_figure.curve_figure(curve)
    figure.canvas.draw()
    (axes,) = figure.axes
    labels = axes.get_legend_handles_labels()[1]
    assert {"95 % interval", "power law", "mean of 5 draws", "twice as many"} <= set(labels)
    assert axes.get_xlim()[1] >= 4 * 300
    assert figure.get_suptitle().startswith("Twice the labels (600 for 300): ")
    assert curve_figure.description(curve).endswith(f"{curve.sentence()}.")
    assert curve_figure.curve_figure(learning_curve(*clouds(20, 2.0), 2)) is None


def test_the_same_seed_gives_the_same_curve():
    first, second = (learning_curve(*clouds(100, 1.0), 2, seed=4) for _ in range(2))
    assert (first.errors == second.errors).all()
