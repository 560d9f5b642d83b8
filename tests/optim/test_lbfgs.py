"""L-BFGS finds the minimum that scikit-learn finds, each group with its own decay."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.functional import cross_entropy

from graft.optim import LBFGS


@pytest.fixture(scope="module")
def digits():
    values, labels = load_digits(return_X_y=True)
    return (values[:600] / 16).astype(np.float32), labels[:600]


def solve(values, labels, decay, **settings):
    torch.manual_seed(0)
    layer = nn.Linear(values.shape[1], 10)
    frozen = nn.Linear(3, 3).requires_grad_(False)
    groups = [
        {"name": "backbone", "params": list(frozen.parameters()), "weight_decay": 9.0, "lr": 1.0},
        {"name": "head", "params": [layer.weight], "weight_decay": decay, "lr": 1.0},
        {"name": "head_no_decay", "params": [layer.bias], "weight_decay": 0.0, "lr": 1.0},
    ]
    optimizer = LBFGS(groups, **settings)
    x, y = torch.from_numpy(values), torch.from_numpy(labels)
    looks = []

    def closure():
        optimizer.zero_grad()
        loss = cross_entropy(layer(x), y)
        loss.backward()
        looks.append(loss.item())
        return loss

    before = {key: value.clone() for key, value in frozen.state_dict().items()}
    first = optimizer.step(closure)
    assert all(torch.equal(value, before[key]) for key, value in frozen.state_dict().items())
    return layer, float(first), looks


@pytest.mark.parametrize("decay", [1e-1, 1e-3])
def test_the_minimum_is_scikit_learns(digits, decay):
    values, labels = digits
    layer, first, looks = solve(values, labels, decay)
    reference = LogisticRegression(C=1 / (len(values) * decay), tol=1e-8, max_iter=10_000)
    reference.fit(values, labels)
    weights = layer.weight.detach().numpy()
    np.testing.assert_allclose(weights, reference.coef_, atol=5e-3 * np.abs(reference.coef_).max())
    # A bias has no decay, so only differences between classes are determined.
    bias = layer.bias.detach().numpy()
    np.testing.assert_allclose(bias - bias.mean(), reference.intercept_, atol=0.02 * np.abs(bias).max())
    said = layer(torch.from_numpy(values)).argmax(1).numpy()
    assert (said == reference.predict(values)).mean() > 0.998
    assert first > min(looks)


def test_the_gradient_is_all_but_zero_at_the_end(digits):
    values, labels = digits
    layer, *_ = solve(values, labels, 1e-2)
    loss = cross_entropy(layer(torch.from_numpy(values)), torch.from_numpy(labels))
    loss = loss + 0.5 * 1e-2 * layer.weight.square().sum()
    layer.zero_grad()
    loss.backward()
    assert layer.weight.grad.abs().max() < 2e-5
    assert layer.bias.grad.abs().max() < 2e-5


def test_ending_by_the_limit_is_told(digits, capsys):
    solve(*digits, 1e-3, max_iter=3)
    assert (
        "warning: optimizer=lbfgs stopped at optimizer.max_iter=3 with a gradient of"
        in capsys.readouterr().out
    )
    solve(*digits, 1e-1)
    assert capsys.readouterr().out == ""
