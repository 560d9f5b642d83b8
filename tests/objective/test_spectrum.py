"""Batch spectral shrinkage against eigenvalues and a published figure."""

import pytest
import torch

from graft.objective import BatchSpectralShrinkage

ROWS = [[1, 0, 2], [2, 1, 0], [0, 1, 1], [1, 2, 0], [3, 0, 1], [0, 3, 1], [2, 2, 3], [1, 1, 4]]


def test_a_known_matrix(images, labels):
    features = torch.tensor(ROWS, dtype=torch.float64, requires_grad=True)
    assert float(BatchSpectralShrinkage(1.0, 1).term(images, [features], labels).detach()) == pytest.approx(
        9.752380, abs=1e-6
    )
    # More than there are: the sum of all is the squared Frobenius norm.
    whole = float(BatchSpectralShrinkage(0.5, 99).term(images, [features], labels).detach())
    assert whole == pytest.approx(0.5 * float(features.detach().square().sum()))


def test_it_is_the_least_eigenvalue_and_its_gradient_has_twice_the_root(images, labels):
    features = torch.randn(4, 9, dtype=torch.float64, requires_grad=True)
    term = BatchSpectralShrinkage(1.0, 1).term(images, [features], labels)
    term.backward()
    least = torch.linalg.eigvalsh(features.detach() @ features.detach().T)[0]
    torch.testing.assert_close(term.detach(), least)
    torch.testing.assert_close(features.grad.norm(), 2 * least.sqrt())


def test_frozen_features_add_nothing(images, labels):
    assert BatchSpectralShrinkage(1.0, 1).term(images, [torch.randn(4, 9)], labels) == 0
