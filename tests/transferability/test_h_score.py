"""The H-score is held between 0 and C − 1, and by shrinkage away from C − 1 where the features are noise."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from graft.transferability import h_score


@pytest.mark.parametrize("width", [1, 3, 30, 300])
def test_the_bound_holds_for_any_features(rng, width) -> None:
    labels = rng.integers(0, 5, 60)
    for features in (rng.normal(size=(60, width)), rng.exponential(size=(60, width)).round(1)):
        assert 0 <= h_score(features, labels) <= min(width, 4) + 1e-9


def test_noise_scores_little_though_there_are_more_features_than_images(rng) -> None:
    noise, labels = rng.normal(size=(60, 100)), rng.integers(0, 5, 60)
    assert h_score(noise, labels) < 1
    assert h_score(noise + 3 * rng.normal(size=(5, 100))[labels], labels) > 2.5


def test_shrinkage_is_ledoit_and_wolfs(rng) -> None:
    labels = rng.integers(0, 3, 40)
    features = 1e-3 * (rng.normal(size=(40, 10)) + labels[:, None])
    centred = features - features.mean(0)
    fitted = LedoitWolf(assume_centered=True).fit(centred * 1e3)
    means = np.array([centred[labels == label].mean(0) for label in labels]) * 1e3
    expected = np.trace(np.linalg.inv(fitted.covariance_) @ (means.T @ means / 40))
    assert h_score(features, labels) == pytest.approx((1 - fitted.shrinkage_) * expected)


def test_shrinkage_does_not_mind_scale_and_rotation(rng) -> None:
    labels = rng.integers(0, 3, 40)
    features = rng.normal(size=(40, 10)) + labels[:, None]
    rotation = np.linalg.qr(rng.normal(size=(10, 10)))[0]
    for scale in (1e-120, 1e-6, 1e6):
        assert h_score(scale * features @ rotation, labels) == pytest.approx(h_score(features, labels))


@pytest.mark.parametrize("constant", [0.0, 0.1])
def test_constant_features_say_nothing(constant) -> None:
    features, labels = np.full((7, 3), constant), np.array([0, 0, 0, 1, 1, 1, 1])
    assert h_score(features, labels) == pytest.approx(0, abs=1e-12)
