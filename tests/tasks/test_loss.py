"""The loss of mixed labels is the mixture of losses, smoothed once, weighted as hard labels are."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from graft.tasks import SingleLabel

A, B = torch.tensor([0, 1, 2, 1, 0]), torch.tensor([2, 2, 0, 1, 1])
SHARE = 0.3
MIXED = SHARE * one_hot(A, 3) + (1 - SHARE) * one_hot(B, 3)
WEIGHTS = torch.tensor([0.5, 1.0, 3.0])


def logits():
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(0)) * 2


def loss_of(outputs, target, weights=None, smoothing=0.0):
    names = [str(label) for label in range(outputs.shape[1])]
    return SingleLabel(names, label_smoothing=smoothing, class_weights=weights).loss(outputs, target)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_mixed_loss_is_the_mixture_of_losses(smoothing):
    loss, weight = loss_of(logits(), MIXED, None, smoothing)
    one, two = (cross_entropy(logits(), label, label_smoothing=smoothing) for label in (A, B))
    torch.testing.assert_close(loss, SHARE * one + (1 - SHARE) * two)
    assert weight is None


def test_smoothing_twice_would_be_another_loss():
    once, _ = loss_of(logits(), MIXED, None, 0.2)
    twice = cross_entropy(logits(), 0.8 * MIXED + 0.2 / 3, label_smoothing=0.2)
    assert abs(float(once - twice)) > 0.05


def test_the_floor_of_a_smoothed_loss():
    # The entropy of a smoothed label (C=10, ε=0.1), which the best logits reach.
    best = torch.tensor([[0.91] + [0.01] * 9]).log()
    expected = -(0.91 * math.log(0.91) + 0.09 * math.log(0.01))
    assert expected == pytest.approx(0.500288, abs=5e-7)
    for target in (torch.tensor([0]), one_hot(torch.tensor([0]), 10).float()):
        assert float(loss_of(best, target, None, 0.1)[0]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_shares_that_are_whole_weigh_as_hard_labels_do(smoothing):
    hard, total = loss_of(logits(), A, WEIGHTS, smoothing)
    soft, same = loss_of(logits(), one_hot(A, 3).float(), WEIGHTS, smoothing)
    torch.testing.assert_close(soft, hard)
    torch.testing.assert_close(same, total)
    # Torch's own mean over shares divides by the batch instead.
    assert abs(float(cross_entropy(logits(), one_hot(A, 3).float(), WEIGHTS) - hard)) > 0.05


def test_weighted_sums_of_mixed_labels_mix_too():
    loss, total = loss_of(logits(), MIXED, WEIGHTS)
    (one, first), (two, second) = (loss_of(logits(), label, WEIGHTS) for label in (A, B))
    torch.testing.assert_close(total, SHARE * first + (1 - SHARE) * second)
    torch.testing.assert_close(loss * total, SHARE * one * first + (1 - SHARE) * two * second)
