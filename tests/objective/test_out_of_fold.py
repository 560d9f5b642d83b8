"""What an image is said to be is said by heads that it was no part of."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from graft.objective import out_of_fold as module
from graft.objective.folding import folds_of
from graft.objective.out_of_fold import judged, out_of_fold


@pytest.fixture(scope="module")
def digits():
    values, labels = load_digits(return_X_y=True)
    return torch.from_numpy(values[:300] / 16).float(), labels[:300]


def test_the_accuracy_is_that_of_scikit_learn_s(digits):
    features, labels = digits
    said = judged(features, labels, 10, folds_of(labels, None, 0))
    assert said.sum(1) == pytest.approx(1)
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=1, max_iter=1000))
    reference = cross_val_score(probe, features.numpy(), labels, cv=5).mean()
    assert (said.argmax(1) == labels).mean() >= reference - 0.01


def test_an_image_says_nothing_of_itself():
    """Noise in more dimensions than images: whoever learns a label by heart knows it."""
    features = torch.randn(60, 200, generator=torch.Generator().manual_seed(0))
    labels = np.arange(60) % 2
    said = out_of_fold(features, labels, 2)
    assert (said.argmax(1) == labels).mean() < 0.75
    # Two copies of each in one group are judged by neither of them.
    twice, groups = features.repeat(2, 1), np.tile(np.arange(60), 2)
    together = out_of_fold(twice, np.tile(labels, 2), 2, groups)
    apart = out_of_fold(twice, np.tile(labels, 2), 2)
    assert (together.argmax(1) == np.tile(labels, 2)).mean() < 0.75
    assert (apart.argmax(1) == np.tile(labels, 2)).mean() > 0.85


def test_the_penalty_is_chosen_by_the_other_folds(digits, monkeypatch):
    """What a fold itself would like best has no say: its own labels may be turned, and it hears the same."""
    features, labels = digits
    folds = folds_of(labels, None, 0)
    learn, judge = folds[0]
    # No other fold learns from it here, so that only the penalty could tell.
    apart = [(learn, judge), *((np.setdiff1d(one, judge), other) for one, other in folds[1:])]
    turned = labels.copy()
    turned[judge] = (turned[judge] + 1) % 10
    before, after = judged(features, labels, 10, apart), judged(features, turned, 10, apart)
    assert (before[judge] == after[judge]).all()


def test_few_images_are_parted_anew_and_the_only_one_of_a_class_is_not_judged(digits, monkeypatch):
    features, labels = digits
    rows = np.concatenate([np.flatnonzero(labels < 2)[:20], np.flatnonzero(labels == 2)[:1]])
    seen = []
    monkeypatch.setattr(module, "judged", lambda *given: seen.append(given) or judged(*given))
    said = out_of_fold(features[rows], labels[rows], 3)
    assert len(seen) == module.REPEATS
    assert np.isnan(said[-1]).all()
    assert not np.isnan(said[:-1]).any()
    assert np.isnan(out_of_fold(features[:3], np.arange(3), 3)).all()
