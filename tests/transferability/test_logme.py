"""LogME is the largest evidence there is, to six digits, and finite whatever the features are."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from graft.transferability import logme
from graft.transferability.logme import Evidence, evidences

EYE = np.eye


def one_hot(labels: np.ndarray) -> np.ndarray:
    return EYE(labels.max() + 1)[labels]


def dense(features: np.ndarray, target: np.ndarray, alpha: float, beta: float) -> float:
    """log N(y; 0, I/β + FFᵀ/α) / N, with nothing simplified."""
    covariance = EYE(len(features)) / beta + features @ features.T / alpha
    return float(multivariate_normal(np.zeros(len(features)), covariance).logpdf(target)) / len(features)


def fixed_point(features: np.ndarray, target: np.ndarray, steps: int) -> tuple[float, float]:
    """α and β after so many steps of the paper's iteration."""
    alpha = beta = 1.0
    values, directions = np.linalg.eigh(features.T @ features)
    values = values.clip(min=0)
    for _ in range(steps):
        mean = directions @ (directions.T @ features.T @ target * beta / (alpha + beta * values))
        gamma = (beta * values / (alpha + beta * values)).sum()
        alpha = gamma / (mean @ mean)
        beta = (len(features) - gamma) / ((target - features @ mean) ** 2).sum()
    return float(alpha), float(beta)


def test_the_published_example(example) -> None:
    found = evidences(example.features, one_hot(example.labels))
    np.testing.assert_allclose([part.value for part in found], [-0.928524, -0.893148, -0.468062], atol=1e-6)
    assert logme(example.features, example.labels) == pytest.approx(-0.763245, abs=1e-6)
    # Features that say nothing of the first class: the best precision of the weights is without bound.
    assert found[0].alpha > 1e9


@pytest.mark.parametrize(("count", "width"), [(60, 8), (30, 80)])
def test_it_is_the_evidence_of_the_dense_gaussian_and_the_fixed_point(rng, count, width) -> None:
    labels = rng.integers(0, 3, count)
    features = rng.normal(size=(count, width)) + 2 * rng.normal(size=(3, width))[labels]
    for part, target in zip(evidences(features, one_hot(labels)), one_hot(labels).T, strict=True):
        assert part.value == pytest.approx(dense(features, target, part.alpha, part.beta), abs=1e-9)
        alpha, beta = fixed_point(features, target, 20_000)
        at_fixed_point = dense(features, target, alpha, beta)
        assert part.value == pytest.approx(at_fixed_point, rel=1e-6)
        assert part.value >= at_fixed_point - 1e-9
        # With more features than images there may be no noise left, and beta as large as one likes.
        assert part.alpha == pytest.approx(alpha, rel=1e-5)
        assert width > count or part.beta == pytest.approx(beta, rel=1e-5)


def test_eleven_steps_of_the_iteration_would_not_do(rng) -> None:
    """T40: with more features than images the tolerance of 1 % and 11 steps are off in the fourth digit."""
    labels = rng.integers(0, 2, 30)
    features = rng.normal(size=(30, 100)) + 0.2 * labels[:, None]
    target = one_hot(labels)[:, 0]
    best = evidences(features, target[:, None])[0].value
    assert best - dense(features, target, *fixed_point(features, target, 11)) > 1e-5


@pytest.mark.parametrize("scale", [1e-9, 0.01, 100, 1e9])
def test_size_and_rotation_of_the_features_do_not_matter(rng, scale) -> None:
    labels = rng.integers(0, 4, 50)
    features = rng.normal(size=(50, 12)) + labels[:, None]
    rotation = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    whole = logme(features, labels)
    assert logme(features * scale, labels) == pytest.approx(whole, rel=1e-6)
    assert logme(features @ rotation, labels) == pytest.approx(whole, rel=1e-6)


def test_separable_features_give_a_finite_and_large_answer(rng) -> None:
    labels = np.arange(40) % 4
    exact, noisy = one_hot(labels), one_hot(labels) + 0.1 * rng.normal(size=(40, 4))
    assert np.isfinite(logme(exact, labels))
    assert logme(exact, labels) > logme(noisy, labels) > 0


def test_features_that_are_all_zero_give_the_evidence_of_noise_alone() -> None:
    labels = np.array([0, 0, 1, 1, 1])
    expected = np.mean([-0.5 * np.log(2 * np.pi * share) - 0.5 for share in (0.4, 0.6)])
    assert logme(np.zeros((5, 3)), labels) == pytest.approx(expected)


def test_a_class_id_without_an_image_is_left_out(example) -> None:
    assert logme(example.features, example.labels * 7 + 3) == logme(example.features, example.labels)


def test_no_number_is_no_answer(example) -> None:
    features = example.features.copy()
    features[2, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        logme(features, example.labels)
    with pytest.raises(ValueError, match="expected"):
        logme(example.features[:5], example.labels)


def test_evidence_says_where_it_is_reached(rng) -> None:
    found = evidences(rng.normal(size=(20, 3)), one_hot(np.arange(20) % 2))[0]
    assert isinstance(found, Evidence)
    assert found.alpha > 0
    assert found.beta > 0
