"""AFN's identities, and that AdaBN adds nothing."""

import pytest
import torch
from torch.nn.functional import cosine_similarity

from graft.adaptation import AdaBN, Afn, Domain


def domain(rows, seed):
    made = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, 6, dtype=torch.float64, generator=made).requires_grad_()
    return Domain(features, torch.zeros(rows, 3))


@pytest.mark.parametrize("increase", [1.0, 0.3])
def test_afn_is_the_squared_increase_and_lengthens_every_feature(increase):
    source, target = domain(5, 0), domain(3, 1)
    term = Afn(weight=2.0, increase=increase).step(source, target, 0.5).terms["norm"]
    assert float(term.detach()) == pytest.approx(2 * increase**2)
    term.backward()
    for features in (source.features, target.features):
        # A step of descent goes along each feature vector, equally far for every sample of both domains.
        descent = -features.grad
        torch.testing.assert_close(
            cosine_similarity(descent, features), torch.ones(len(features), dtype=torch.float64)
        )
        torch.testing.assert_close(
            descent.norm(dim=1), torch.full((len(features),), 2 * 2 * increase / 8, dtype=torch.float64)
        )


def test_afn_of_features_without_length_has_no_direction():
    source = Domain(torch.zeros(2, 6, requires_grad=True), torch.zeros(2, 3))
    Afn().step(source, domain(2, 0), 0.5).terms["norm"].backward()
    assert not source.features.grad.any()


def test_adabn_adds_nothing():
    assert AdaBN().step(domain(2, 0), domain(2, 1), 0.5) == ({}, {})
