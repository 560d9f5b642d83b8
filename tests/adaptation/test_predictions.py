"""Class confusion against its formula written out, and pseudo-labels by hand."""

import math

import pytest
import torch
from torch import nn

from graft.adaptation import Domain, Mcc, SelfTraining
from graft.adaptation.predictions import certainty, class_confusion

ROWS = [[1, 0, 2], [2, 1, 0], [0, 1, 1], [1, 2, 0], [3, 0, 1], [0, 3, 1], [2, 2, 3], [1, 1, 4]]
F = torch.tensor(ROWS, dtype=torch.float64)


def domain(logits):
    return Domain(torch.zeros(len(logits), 4), logits)


def written_out(logits, temperature):
    """The paper's formula with its matrices, the samples' weights without gradient."""
    p = (logits / temperature).softmax(1)
    w = 1 + torch.exp((p * p.log()).sum(1).detach())
    confusion = p.T @ torch.diag(len(p) * w / w.sum()) @ p
    confusion = confusion / confusion.sum(1, keepdim=True)
    return (confusion.sum() - confusion.trace()) / p.shape[1]


def test_confusion_of_known_logits():
    assert float(class_confusion(F, 2.5)) == pytest.approx(0.613096, abs=1e-6)
    terms, measures = Mcc(weight=2.0).step(domain(-F), domain(F), 0.5)
    assert {name: float(term) for name, term in terms.items()} == {
        "confusion": pytest.approx(2 * 0.613096, abs=2e-6)
    }
    assert measures == {}


def test_confusion_and_its_gradient_are_the_formulas():
    logits = (2 * F).requires_grad_()
    found, expected = class_confusion(logits, 1.3), written_out(logits, 1.3)
    torch.testing.assert_close(found, expected)
    for first, second in zip(*(torch.autograd.grad(term, logits) for term in (found, expected)), strict=True):
        assert float(first.abs().max()) > 1e-3
        torch.testing.assert_close(first, second)


@pytest.mark.parametrize("classes", [2, 5, 10])
def test_confusion_is_greatest_where_all_is_alike_and_0_where_all_is_sure(classes):
    alike = class_confusion(torch.zeros(7, classes), 2.5)
    torch.testing.assert_close(alike, torch.tensor(1 - 1 / classes))
    assert class_confusion(1e4 * torch.eye(classes), 2.5) == 0


def test_a_class_that_is_never_predicted_has_the_limit_and_no_gradient():
    sure = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    near, saturated = (by * sure for by in (50.0, 1e5))
    saturated.requires_grad_()
    term = class_confusion(saturated, 1.0)
    assert not saturated.detach().softmax(1)[:, 2].any()
    torch.testing.assert_close(term.detach(), class_confusion(near, 1.0))
    term.backward()
    assert torch.isfinite(saturated.grad).all()
    assert not saturated.grad[:, 2].any()


def test_what_is_sure_weighs_up_to_twice_as_much():
    weights = certainty(torch.tensor([[1.0, 0.0], [0.5, 0.5], [1.0, 0.0]]))
    raw = torch.tensor([2.0, 1.5, 2.0])
    torch.testing.assert_close(weights, raw / raw.mean())


def test_pseudo_labels_are_those_that_are_sure_and_the_mean_is_over_all():
    logits = torch.tensor([[3.0, 0.0], [0.0, 1.0], [0.0, 3.0], [0.2, 0.0]], requires_grad=True)
    terms, measures = SelfTraining(weight=2.0, threshold=0.9).step(domain(-logits), domain(logits), 0.5)
    one = math.log(1 + math.exp(-3))
    assert float(terms["pseudo"].detach()) == pytest.approx(2 * 2 * one / 4)
    assert measures == {"pseudo_share": 0.5}
    terms["pseudo"].backward()
    # Towards the label that it has already, and nothing of those that are unsure.
    away = 2 * (1 - 1 / (1 + math.exp(-3))) / 4
    expected = torch.tensor([[-away, away], [0, 0], [away, -away], [0, 0]])
    torch.testing.assert_close(logits.grad, expected)


def test_the_threshold_is_reached_by_its_equal():
    half = domain(torch.zeros(3, 2))
    assert SelfTraining(threshold=0.5).step(half, half, 0.5).measures["pseudo_share"] == 1
    assert SelfTraining(threshold=0.51).step(half, half, 0.5).terms["pseudo"] == 0


def test_pseudo_labels_train_a_network_towards_itself():
    torch.manual_seed(0)
    head = nn.Linear(4, 3)
    features = torch.randn(6, 4)
    before = head(features).softmax(1).max(1)
    SelfTraining(threshold=0.0).step(domain(head(features)), domain(head(features)), 0.5).terms[
        "pseudo"
    ].backward()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter -= 0.1 * parameter.grad
    after = head(features).softmax(1).max(1)
    assert torch.equal(before.indices, after.indices)
    assert after.values.mean() > before.values.mean()
