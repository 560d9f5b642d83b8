"""The probe is fitted inside the fold, and that is its whole point."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import Pipeline

from graft.transferability import probe_accuracy


def test_it_finds_what_is_linear_and_nothing_in_noise(rng) -> None:
    labels = rng.integers(0, 4, 200)
    features = rng.normal(size=(200, 10)) + 4 * np.eye(10)[labels]
    assert probe_accuracy(features, labels) > 0.97
    # More features than images: to be fitted to the images that it is asked about would give 1.
    assert probe_accuracy(rng.normal(size=(200, 500)), labels) < 0.4


def test_the_features_sizes_and_offsets_do_not_matter(rng) -> None:
    labels = rng.integers(0, 3, 120)
    features = rng.normal(size=(120, 8)) + np.eye(8)[labels]
    sizes, offsets = 10.0 ** rng.integers(-4, 4, 8), 1000 * rng.normal(size=8)
    assert probe_accuracy(features * sizes + offsets, labels) == probe_accuracy(features, labels)


def test_no_fold_divides_a_group_by_which_an_image_would_be_known_again(rng) -> None:
    """Of 60 patients each has a look of his own, which says nothing of others."""
    patients = np.repeat(np.arange(60), 4)
    labels = rng.integers(0, 3, 60)[patients]
    features = rng.normal(size=(60, 100))[patients] + 0.1 * rng.normal(size=(240, 100))
    names = [f"patient {number}" for number in patients]
    assert probe_accuracy(features, labels) > 0.9
    assert probe_accuracy(features, labels, groups=names) < 0.55
    alone = [str(number) for number in range(240)]
    assert probe_accuracy(features, labels, groups=alone) > 0.9


def test_a_class_of_one_group_is_never_known(rng) -> None:
    labels = np.repeat([0, 1, 2], 20)
    features = rng.normal(size=(60, 6)) + 6 * np.eye(6)[labels]
    names = ["all of class 0" if label == 0 else str(number) for number, label in enumerate(labels)]
    assert probe_accuracy(features, labels, groups=names) == pytest.approx(2 / 3, abs=0.02)
    # With nothing else to tell apart too.
    two = labels < 2
    kept = [name for name, is_kept in zip(names, two, strict=True) if is_kept]
    assert probe_accuracy(features[two], labels[two], groups=kept) == pytest.approx(0.5, abs=0.03)


def test_everything_is_fitted_inside_the_fold(rng, monkeypatch) -> None:
    """T37: the mean and variance too see only the images that the classifier is fitted to."""
    seen = []
    inner = Pipeline.fit

    def fit(self, values, targets):
        seen.append(values.copy())
        return inner(self, values, targets)

    monkeypatch.setattr(Pipeline, "fit", fit)
    features, labels = rng.normal(size=(50, 4)), np.arange(50) % 2
    probe_accuracy(features, labels)
    assert [len(values) for values in seen] == [40] * 5
    left_out = [{row.tobytes() for row in features} - {row.tobytes() for row in values} for values in seen]
    # The folds share no image and have all.
    assert sum(map(len, left_out)) == len(set.union(*left_out)) == 50


def test_the_penalty_follows_the_images(rng) -> None:
    """With as many features as images in a fold a probe that is hardly penalised fits these and no others."""
    labels = np.arange(100) % 2
    features = rng.normal(size=(100, 80)) + 0.5 * labels[:, None]
    hardly = RidgeClassifierCV([1e-9]).fit(features[:80], labels[:80])
    assert hardly.score(features[80:], labels[80:]) < 0.8
    assert probe_accuracy(features, labels) > 0.9


def test_small_classes(rng) -> None:
    labels = np.array([0] * 20 + [1] * 20 + [2])
    features = np.eye(3)[labels] + 0.01 * rng.normal(size=(41, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Of the class with one image that image is never known.
        assert probe_accuracy(features, labels) == pytest.approx(40 / 41)
        assert probe_accuracy(features[[0, 1, 2, 20, 21, 22]], labels[[0, 1, 2, 20, 21, 22]]) == 1
    with pytest.raises(ValueError, match="one class alone"):
        probe_accuracy(features[:20], labels[:20])


def test_the_same_seed_gives_the_same_folds(rng) -> None:
    labels = rng.integers(0, 2, 90)
    features = rng.normal(size=(90, 4)) + 0.5 * labels[:, None]
    assert probe_accuracy(features, labels) == probe_accuracy(features, labels, seed=0)
    assert len({probe_accuracy(features, labels, seed=seed) for seed in range(6)}) > 1
