"""Every draw's metrics are those of the images that it holds; the intervals are what they say."""

import numpy as np
import pytest

from graft.training import bootstrap, metrics


def answers(case, tied=False):
    """Random answers; some classes are absent, down to a single one present."""
    rng = np.random.default_rng(case)
    classes = int(rng.integers(2, 6))
    present = rng.permutation(classes)[: rng.integers(1, classes + 1)]
    labels = rng.choice(present, size=rng.integers(1, 40))
    p = rng.dirichlet(np.full(classes, 0.5), len(labels))
    if tied:
        p = np.round(p * 4) + 0.5
        p /= p.sum(1, keepdims=True)
    return labels, p, p.argmax(1)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("case", range(12))
def test_a_draw_has_the_metrics_of_the_images_it_holds(case, tied):
    labels, p, predicted = answers(case, tied)
    weights = next(bootstrap.draws(len(labels), 6, seed=case))
    # And all images once, which is no draw.
    weights = np.concatenate([weights, np.ones((len(labels), 1), np.float32)], axis=1)
    found = bootstrap.resampled(labels, p, predicted, weights)
    for draw, counts in enumerate(weights.T.astype(int)):
        held = np.repeat(np.arange(len(labels)), counts)
        assert len(held) == len(labels)
        some = labels[held], p[held], predicted[held]
        for key, value in metrics.measure(*some).items():
            ours = found.whole[key][draw]
            assert np.isnan(ours) if value is None else ours == pytest.approx(value, abs=1e-9), key
        for label, row in enumerate(metrics.of_classes(*some)):
            for key in metrics.OF_A_CLASS:
                ours = found.classes[key][draw, label]
                expected = row[key]
                assert np.isnan(ours) if expected is None else ours == pytest.approx(expected, abs=1e-9), key


def test_the_interval_of_accuracy_is_that_of_counted_draws():
    """Drawn otherwise, here binomially, accuracy has the same middle 95 %."""
    rng = np.random.default_rng(1)
    labels = np.zeros(200, int)
    predicted = (rng.random(200) < 0.2).astype(int)
    p = np.where(predicted[:, None] == [0, 1], 0.9, 0.1)
    low, high = bootstrap.intervals(labels, p, predicted, 4000).whole["accuracy"]
    share = (predicted == 0).mean()
    drawn = rng.binomial(200, share, 100_000) / 200
    assert (low, high) == pytest.approx(tuple(np.percentile(drawn, (2.5, 97.5))), abs=0.006)


def test_the_same_images_have_the_same_draws_and_another_seed_others():
    labels, p, predicted = answers(5)
    one = bootstrap.intervals(labels, p, predicted)
    assert one == bootstrap.intervals(labels, p, predicted)
    assert one.whole["log_loss"] != bootstrap.intervals(labels, p, predicted, seed=1).whole["log_loss"]


def test_draws_do_not_depend_on_how_many_are_computed_together(monkeypatch):
    whole = np.concatenate(list(bootstrap.draws(30, 50, 3)), axis=1)
    monkeypatch.setattr(bootstrap, "_TOGETHER", 30 * 7)
    parts = list(bootstrap.draws(30, 50, 3))
    assert [part.shape[1] for part in parts] == [7] * 7 + [1]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)
    assert (whole.sum(0) == 30).all()


def test_what_no_draw_defines_has_no_interval():
    p = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1]])
    found = bootstrap.intervals(np.zeros(2, int), p, p.argmax(1), 20)
    assert found.whole["auroc"] is None
    assert found.classes["recall"][1:] == [None, None]
    assert found.classes["recall"][0] == (0.0, 1.0)
