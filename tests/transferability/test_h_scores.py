"""The H-score is held between 0 and C − 1, and by shrinkage away from C − 1 where the features are noise."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from graft.transferability import h_score, plain_h_score


def textbook(features: np.ndarray, labels: np.ndarray) -> float:
    """The formula as it is written, in the features' own precision, keeping what is rounding."""
    centred = features - features.mean(0)
    means = np.array([centred[labels == label].mean(0) for label in labels])
    return float(np.trace(np.linalg.pinv(centred.T @ centred, rcond=1e-15) @ (means.T @ means)))


def test_the_published_example(example) -> None:
    assert plain_h_score(example.features, example.labels) == pytest.approx(1.269241, abs=1e-6)
    assert textbook(example.features, example.labels) == pytest.approx(1.269241, abs=1e-6)


def test_one_hot_features_reach_all_there_is() -> None:
    labels = np.arange(30) % 5
    assert plain_h_score(np.eye(5)[labels], labels) == pytest.approx(4)


def test_it_is_the_squared_canonical_correlations(rng) -> None:
    labels = rng.integers(0, 4, 80)
    features = rng.normal(size=(80, 6)) + rng.normal(size=(4, 6))[labels]
    one_hot = np.eye(4)[labels]
    left, right = (np.linalg.svd(x - x.mean(0), full_matrices=False) for x in (features, one_hot))
    correlations = np.linalg.svd(left[0].T @ right[0][:, :3])[1]
    assert plain_h_score(features, labels) == pytest.approx((correlations**2).sum())


def test_one_feature_has_the_share_of_variance_between_classes(rng) -> None:
    labels = rng.integers(0, 3, 50)
    feature = rng.normal(size=50) + labels
    between = sum((labels == c).sum() * (feature[labels == c].mean() - feature.mean()) ** 2 for c in range(3))
    eta = between / ((feature - feature.mean()) ** 2).sum()
    assert plain_h_score(feature[:, None], labels) == pytest.approx(eta)


def test_affine_maps_of_the_features_do_not_matter(rng) -> None:
    labels = rng.integers(0, 3, 60)
    features = rng.normal(size=(60, 5)) + labels[:, None]
    mapped = features @ rng.normal(size=(5, 5)) + 100 * rng.normal(size=5)
    assert plain_h_score(mapped, labels) == pytest.approx(plain_h_score(features, labels), rel=1e-8)


def test_rounding_does_not_lift_it_above_the_classes(rng) -> None:
    """T41: singular features, of which the textbook's pseudo-inverse makes a score out of bounds."""
    labels = rng.integers(0, 5, 60)
    thin = rng.normal(size=(60, 8)) + rng.normal(size=(5, 8))[labels]
    features = (thin @ rng.normal(size=(8, 200))).astype(np.float32)
    assert not -1 < textbook(features, labels) < 5
    assert plain_h_score(features, labels) == pytest.approx(plain_h_score(thin, labels), rel=1e-5)


@pytest.mark.parametrize("width", [1, 3, 30, 300])
def test_the_bound_holds_for_any_features(rng, width) -> None:
    labels = rng.integers(0, 5, 60)
    for features in (rng.normal(size=(60, width)), rng.exponential(size=(60, width)).round(1)):
        for score in (plain_h_score(features, labels), h_score(features, labels)):
            assert 0 <= score <= min(width, 4) + 1e-9


def test_noise_scores_all_there_is_without_shrinkage_and_little_with_it(rng) -> None:
    """T41: more features than images."""
    noise, labels = rng.normal(size=(60, 100)), rng.integers(0, 5, 60)
    assert plain_h_score(noise, labels) == pytest.approx(4)
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
    assert plain_h_score(features, labels) == 0
    assert h_score(features, labels) == pytest.approx(0, abs=1e-12)
