"""CORAL and MMD against published fixtures, plain formulas and identities."""

import pytest
import torch

from graft.adaptation import Coral, Dan, Domain
from graft.adaptation.discrepancy import mean_distance, squared_coral, squared_distances, squared_mmd

ROWS = [[1, 0, 2], [2, 1, 0], [0, 1, 1], [1, 2, 0], [3, 0, 1], [0, 3, 1], [2, 2, 3], [1, 1, 4]]
F = torch.tensor(ROWS, dtype=torch.float64)


def domain(features):
    return Domain(features, torch.zeros(len(features), 2))


def draw(rows, width=5, seed=0):
    return torch.randn(rows, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def mmd(source, target, variances):
    features = torch.cat([source, target])
    return squared_mmd(squared_distances(features), len(source), torch.tensor(variances))


def test_coral_of_a_known_matrix():
    assert float(squared_coral(F[:4], F[4:])) == pytest.approx(0.219136, abs=1e-6)
    terms, measures = Coral(weight=3.0).step(domain(F[:4]), domain(F[4:]), 0.5)
    assert {name: float(term) for name, term in terms.items()} == {"coral": pytest.approx(0.657407, abs=1e-6)}
    assert measures == {}


def test_mmd_of_a_known_matrix():
    assert float(mmd(F[:4], F[4:], [2.0])) == pytest.approx(0.513145, abs=1e-6)


def test_coral_sees_covariances_alone():
    source, target = draw(9), draw(6, seed=1)
    moved = squared_coral(source + 7, target - 2)
    torch.testing.assert_close(moved, squared_coral(source, target))
    # Twice as large features have four times the covariance.
    expected = (9 * torch.cov(source.T).square()).sum() / (4 * 25)
    torch.testing.assert_close(squared_coral(source, 2 * source), expected)
    assert squared_coral(source[:, :1], target[:, :1]) > 0


@pytest.mark.parametrize("method", [Coral(), Dan()], ids=lambda method: type(method).__name__)
def test_domains_of_the_same_samples_have_no_distance_and_no_gradient(method):
    source, target = (draw(7).requires_grad_() for _ in range(2))
    ((_, term),) = method.step(domain(source), domain(target), 0.5).terms.items()
    term.backward()
    assert abs(float(term.detach())) < 1e-12
    assert float(source.grad.abs().max()) < 1e-12
    # A difference gives both.
    ((_, term),) = method.step(domain(source), domain(2 * target), 0.5).terms.items()
    term.backward()
    assert float(term.detach()) > 1e-3
    assert float(source.grad.abs().max()) > 1e-4


def test_mmd_is_the_mean_over_the_kernels_of_their_means_over_all_pairs():
    source, target = draw(5), draw(3, seed=1) + 1

    def mean(first, second, variance):
        pairs = [torch.exp(-(a - b).square().sum() / (2 * variance)) for a in first for b in second]
        return sum(pairs) / len(pairs)

    def expected(variance):
        within = mean(source, source, variance) + mean(target, target, variance)
        return within - 2 * mean(source, target, variance)

    torch.testing.assert_close(mmd(source, target, [0.7, 3.0]), (expected(0.7) + expected(3.0)) / 2)
    # DAN's own widths, around the mean squared distance between two samples.
    samples = torch.cat([source, target])
    spread = torch.pdist(samples).square().mean()
    term = Dan(weight=2.0, kernels=3).step(domain(source), domain(target), 0.5).terms["mmd"]
    torch.testing.assert_close(term, 2 * sum(expected(spread * by) for by in (0.5, 1.0, 2.0)) / 3)


def test_mmd_is_the_same_far_from_zero_and_in_any_unit():
    source, target = (rows.float() for rows in (draw(20), draw(30, seed=1) + 1))
    first, second, third = (
        Dan().step(domain(by * source + shift), domain(by * target + shift), 0.5).terms["mmd"]
        for by, shift in ((1, 0), (1, 1000), (1e-4, 0))
    )
    torch.testing.assert_close(first, second, rtol=1e-2, atol=0)
    torch.testing.assert_close(first, third, rtol=1e-4, atol=0)


def test_no_gradient_goes_through_the_widths():
    source, target = draw(4).requires_grad_(), draw(5, seed=1)
    Dan(kernels=1).step(domain(source), domain(target), 0.5).terms["mmd"].backward()
    found, source.grad = source.grad, None
    features = torch.cat([source, target])
    distances = squared_distances(features)
    squared_mmd(distances, 4, mean_distance(distances, features)[None]).backward()
    torch.testing.assert_close(found, source.grad)
    fixed = float(torch.pdist(features.detach()).square().mean())
    assert torch.autograd.gradcheck(lambda rows: mmd(rows, target, [fixed]), source)
    (expected,) = torch.autograd.grad(mmd(source, target, [fixed]), source)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
def test_constant_features_have_no_width_and_no_mmd(value):
    # Thirds do not add up without rounding.
    source = torch.full((3, 5), value / 3, requires_grad=True)
    term = Dan().step(domain(source), domain(torch.full((4, 5), value / 3)), 0.5).terms["mmd"]
    term.backward()
    assert float(term.detach()) == pytest.approx(0, abs=1e-6)
    assert float(source.grad.abs().max()) < 1e-6


def test_one_sample_has_no_covariance():
    assert squared_coral(draw(1), draw(4)) == 0
    assert squared_coral(draw(4), draw(1)) == 0
    assert squared_coral(draw(2), draw(2, seed=1)) > 0
