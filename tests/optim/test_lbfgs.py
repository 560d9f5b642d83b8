"""L-BFGS finds the minimum that scikit-learn finds, for one penalty and along a path of them."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy

from graft.optim import LBFGS
from graft.optim.lbfgs import principal_axes


@pytest.fixture(scope="module")
def digits():
    """600 images of 10 digits as 64 centred values."""
    values, labels = load_digits(return_X_y=True)
    features = torch.from_numpy(values[:600] / 16)
    return features - features.mean(0), torch.from_numpy(labels[:600])


def minima(features, labels, penalties, classes=10, bias=True, smoothing=0.0, **settings):
    def loss(logits):
        assert logits.dtype == torch.float64
        return cross_entropy(logits, labels, label_smoothing=smoothing)

    return list(LBFGS(**settings).minima(features, classes, loss, penalties, bias))


@pytest.mark.parametrize("penalty", [1.0, 1e-1, 1e-3])
def test_the_minimum_is_scikit_learns(digits, penalty):
    features, labels = digits
    (ours,) = minima(features, labels, [penalty])
    reference = LogisticRegression(C=1 / (len(labels) * penalty), tol=1e-8, max_iter=10_000)
    reference.fit(features, labels)
    np.testing.assert_allclose(ours.weight, reference.coef_, atol=1e-3 * np.abs(reference.coef_).max())
    # A bias has no penalty, so only differences between classes are determined.
    bias = ours.bias.numpy()
    np.testing.assert_allclose(bias - bias.mean(), reference.intercept_, atol=1e-3 * np.abs(bias).max())


def test_of_two_classes_too(digits):
    features, labels = digits
    features, labels = features[labels < 2], labels[labels < 2]
    (ours,) = minima(features, labels, [1e-2], classes=2)
    reference = LogisticRegression(C=2 / (len(labels) * 1e-2), tol=1e-8, max_iter=10_000)
    reference.fit(features, labels)
    weight = (ours.weight[1] - ours.weight[0]).numpy()
    np.testing.assert_allclose(weight, reference.coef_[0], atol=1e-3 * np.abs(weight).max())


def test_more_features_than_images(digits):
    features, labels = digits
    generator = torch.Generator().manual_seed(0)
    wide = features[:30] @ torch.randn(64, 100, generator=generator, dtype=torch.float64)
    (ours,) = minima(wide, labels[:30], [1e-1])
    reference = LogisticRegression(C=1 / (30 * 1e-1), tol=1e-8, max_iter=10_000).fit(wide, labels[:30])
    np.testing.assert_allclose(ours.weight, reference.coef_, atol=1e-3 * np.abs(reference.coef_).max())


def test_a_path_gives_what_each_penalty_gives_alone(digits):
    together = minima(*digits, [1.0, 1e-1, 1e-2])
    for found in together:
        (alone,) = minima(*digits, [found.penalty])
        assert torch.allclose(found.weight, alone.weight, atol=1e-3 * float(alone.weight.abs().max()))
    assert [found.loss for found in together] == sorted((found.loss for found in together), reverse=True)


def test_begun_where_the_last_ended_it_takes_fewer_looks(digits):
    features, labels = digits
    looks = []

    def loss(logits):
        looks.append(1)
        return cross_entropy(logits, labels)

    list(LBFGS().minima(features, 10, loss, [1e-2]))
    alone = len(looks)
    path = LBFGS().minima(features, 10, loss, [2e-2, 1e-2])
    next(path)
    before = len(looks)
    next(path)
    assert len(looks) - before < alone


def test_the_gradient_is_all_but_zero_at_the_end(digits):
    features, labels = digits
    (found,) = minima(features, labels, [1e-2], smoothing=0.1)
    assert found.gradient <= 1e-5
    weight, bias = found.weight.requires_grad_(), found.bias.requires_grad_()
    loss = cross_entropy(features @ weight.T + bias, labels, label_smoothing=0.1)
    (loss + 0.5 * 1e-2 * weight.square().sum()).backward()
    assert weight.grad.abs().max() < 1e-5
    assert bias.grad.abs().max() < 1e-5
    assert found.loss == pytest.approx(loss.item())


def test_without_a_bias(digits):
    (found,) = minima(*digits, [1e-2], bias=False)
    assert torch.equal(found.bias, torch.zeros(10, dtype=torch.float64))


def test_what_ended_by_the_limit_shows_its_gradient(digits):
    (found,) = minima(*digits, [1e-3], max_iter=3)
    assert found.gradient > 1e-5


@pytest.mark.parametrize("count", [20, 200])
def test_principal_axes_turn_and_lose_nothing(digits, count):
    features = digits[0][:count]
    turned, axes, variance = principal_axes(features)
    assert turned.shape == (count, min(count, 64))
    assert torch.allclose(turned @ axes.T, features, atol=1e-10)
    assert torch.allclose(axes.T @ axes, torch.eye(axes.shape[1], dtype=torch.float64), atol=1e-10)
    assert torch.allclose(turned.square().mean(0), variance, atol=1e-10)
