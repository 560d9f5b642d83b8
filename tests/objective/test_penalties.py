"""L1, L2 and L2-SP against their formulas, their gradients, and what is frozen."""

import pytest
import torch

from graft.objective import L1, L2, L2SP


def weights(backbone, head):
    return [m.weight for m in (backbone.stages["stem"][0], backbone.stages["top"][0], head)]


@pytest.mark.parametrize(
    ("penalty", "size"), [(L2(0.3), lambda w: 0.15 * w.square()), (L1(0.3), lambda w: 0.3 * w.abs())]
)
def test_weights_that_train_are_penalised_and_no_others(backbone, head, images, labels, penalty, size):
    penalty.prepare(backbone, head)
    expected = sum(float(size(w.detach()).sum()) for w in weights(backbone, head))
    assert float(penalty.term(images, [], labels).detach()) == pytest.approx(expected, rel=1e-5)
    backbone.requires_grad_(False)
    alone = float(size(head.weight.detach()).sum())
    assert float(penalty.term(images, [], labels).detach()) == pytest.approx(alone, rel=1e-5)


def test_l2_descends_as_sgds_weight_decay_does(backbone, head, images, labels):
    penalty = L2(0.3)
    penalty.prepare(backbone, head)
    penalty.term(images, [], labels).backward()
    for weight in weights(backbone, head):
        torch.testing.assert_close(weight.grad, 0.3 * weight.detach())
    assert head.bias.grad is None


def test_l2_sp_is_zero_at_the_source_and_draws_back_to_it(backbone, head, images, labels):
    source = [p.detach().clone() for p in backbone.parameters()]
    penalty = L2SP(alpha=0.4, beta=0.0)
    penalty.prepare(backbone, head)
    term = penalty.term(images, [], labels)
    term.backward()
    assert term == 0
    assert all(not p.grad.any() for p in backbone.parameters())
    # References to the parameters in place of copies would keep the distance at 0.
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(torch.randn_like(parameter))
    distance = sum(
        float((p - w0).detach().square().sum()) for p, w0 in zip(backbone.parameters(), source, strict=True)
    )
    assert float(penalty.term(images, [], labels).detach()) == pytest.approx(0.2 * distance, rel=1e-5)
    away = [p.detach() - w0 for p, w0 in zip(backbone.parameters(), source, strict=True)]
    optimizer = torch.optim.SGD(backbone.parameters(), lr=0.5)
    for step in range(1, 4):
        optimizer.zero_grad()
        penalty.term(images, [], labels).backward()
        optimizer.step()
        for parameter, w0, start in zip(backbone.parameters(), source, away, strict=True):
            torch.testing.assert_close(parameter.detach() - w0, start * (1 - 0.5 * 0.4) ** step)


def test_l2_sp_draws_the_head_to_zero_and_leaves_the_frozen_alone(backbone, head, images, labels):
    penalty = L2SP(alpha=1.0, beta=0.6)
    penalty.prepare(backbone, head)
    with torch.no_grad():
        backbone.stages["stem"][0].weight.add_(1)
    backbone.stages["stem"].requires_grad_(False)
    expected = 0.3 * sum(float(p.detach().square().sum()) for p in head.parameters())
    assert float(penalty.term(images, [], labels).detach()) == pytest.approx(expected, rel=1e-5)
