"""All intervals of a test together: they hold the truth as often as they say."""

import math
from time import process_time

import numpy as np
import pytest
from scipy import special

from graft.configuration.metric_names import ASSESSED, OF_A_CLASS
from graft.evaluation.calibration import log_odds
from graft.evaluation.intervals import intervals

SETS, IMAGES = 250, 100


def told(labels, logits):
    return labels, special.softmax(logits, axis=1), logits.argmax(1), log_odds(logits)


def drawn(seed, images=IMAGES, right=0.99):
    """Two classes, told apart by logits whose difference is normal, as often right as asked."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, images)
    apart = special.ndtri(right)
    difference = rng.normal(size=images) + np.where(labels == 1, apart, -apart)
    return labels, np.stack([np.zeros(images), 2 * apart * difference], axis=1)


def test_every_metric_has_one_or_none():
    found = intervals(*told(*drawn(0, right=0.8)))
    assert set(found.whole) == set(ASSESSED)
    assert set(found.classes) == set(OF_A_CLASS)
    for low, high in found.whole.values():
        assert low < high
    assert all(len(each) == 2 for each in found.classes.values())


@pytest.mark.parametrize("right", [0.9, 0.99])
def test_they_hold_the_truth(right):
    """A percentile bootstrap holds .99 in 63 of 100 sets, and an AUROC of .9995 in 40."""
    auroc = float(special.ndtr(special.ndtri(right) * math.sqrt(2)))
    truths = dict.fromkeys(("accuracy", "balanced_accuracy", "f1_macro", "precision_macro"), right)
    truths["auroc"] = auroc
    held = {key: [] for key in truths}
    for seed in range(SETS):
        found = intervals(*told(*drawn(seed, right=right))).whole
        for key, truth in truths.items():
            if (ends := found[key]) is not None:
                held[key].append(ends[0] <= truth <= ends[1])
    assert len(held["accuracy"]) == SETS
    for key, each in held.items():
        # Four standard errors below .95, so that no healthy change fails.
        assert len(each) > SETS / 4, key
        assert np.mean(each) >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / len(each)), key


def test_a_perfect_test_says_so_much_and_no_more():
    labels = np.arange(30) % 2
    found = intervals(*told(labels, 40.0 * np.eye(2)[labels] + np.arange(30)[:, None]))
    assert found.whole["accuracy"] == pytest.approx((0.886, 1), abs=0.001)
    for key in ("auroc", "average_precision", "log_loss", "brier", "ece"):
        assert found.whole[key] is None


def test_a_class_without_images_has_none():
    labels, logits = drawn(0)
    found = intervals(*told(labels, np.pad(logits, ((0, 0), (0, 1)), constant_values=-50.0)))
    assert all(each[2] is None for each in found.classes.values())
    assert found.whole["accuracy"] is not None
    assert found.whole["f1_macro"] is None


def test_they_cost_little():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 20, 2000)
    answers = told(labels, rng.normal(size=(2000, 20)) + 3 * np.eye(20)[labels])
    intervals(*answers)
    start = process_time()
    intervals(*answers)
    assert process_time() - start < 1
