"""Density ratios: known where the densities are, 1 where the domains are alike, never of what was fitted."""

import numpy as np
import pytest
from scipy.stats import norm, spearmanr

from graft.adaptation import density_ratio as module
from graft.adaptation.density_ratio import density_ratio


@pytest.mark.parametrize("targets", [500, 2000])
def test_the_ratio_of_two_normal_distributions(targets):
    generator = np.random.default_rng(0)
    source = generator.normal(size=(2000, 1))
    target = generator.normal(size=(targets, 1)) + 1
    found = density_ratio(source, target)
    expected = norm.pdf(source[:, 0], 1) / norm.pdf(source[:, 0])
    # However many there are of either domain.
    assert np.abs(np.log(found) - np.log(expected)).max() < 0.6
    assert found.mean() == pytest.approx(1, abs=0.1)


def test_domains_that_are_alike_have_ratios_near_1_in_many_dimensions_too():
    generator = np.random.default_rng(0)
    source, target = generator.normal(size=(2, 300, 200))
    found = density_ratio(source, target)
    # A classifier that is judged by what it was fitted to would tell them apart.
    assert np.abs(np.log(found)).max() < 0.5


def test_no_ratio_is_of_a_sample_that_it_was_fitted_to(monkeypatch):
    generator = np.random.default_rng(0)
    source, target = generator.normal(size=(40, 3)), generator.normal(size=(30, 3)) + 1
    monkeypatch.setattr(module, "PENALTIES", (0.1,))
    first = density_ratio(source, target)
    moved = source.copy()
    moved[7] += 0.5
    second = density_ratio(moved, target)
    # Its own fold's classifier does not know it; only its own ratio changes there, and all of the other's do.
    changed = first != second
    assert changed[7]
    assert changed.sum() == 1 + 20


def test_the_unit_of_a_feature_and_one_that_is_constant_do_not_matter():
    generator = np.random.default_rng(0)
    source, target = generator.normal(size=(50, 3)), generator.normal(size=(40, 3)) + 0.5
    found = density_ratio(source, target)
    scaled = [
        np.column_stack([values * [1e3, 1, 1e-3], np.full(len(values), 7.0)]) for values in (source, target)
    ]
    np.testing.assert_allclose(density_ratio(*scaled), found, rtol=1e-3)


def test_domains_apart_have_finite_ratios():
    source, target = np.zeros((9, 2)), np.full((5, 2), 1e6)
    found = density_ratio(source, target)
    assert np.isfinite(found).all()
    assert (found < 0.5).all()
    assert (found >= 1 / 14).all()


def test_no_ratio_is_beyond_the_number_of_samples():
    generator = np.random.default_rng(0)
    source, target = generator.normal(size=(50, 1)), generator.normal(size=(50, 1)) + 2
    source[0] = 1e6
    found = density_ratio(source, target)
    assert found[0] == pytest.approx(100)
    assert (found[1:] < 99).all()


def test_the_least_that_two_folds_take():
    found = density_ratio(np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]]))
    assert np.isfinite(found).all()
    with pytest.raises(ValueError, match="two samples of each domain"):
        density_ratio(np.zeros((1, 2)), np.zeros((5, 2)))


def test_the_seed_is_of_the_folds():
    generator = np.random.default_rng(0)
    source, target = generator.normal(size=(60, 3)), generator.normal(size=(60, 3)) + 1
    first, again, other = (density_ratio(source, target, seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    assert spearmanr(first, other).statistic > 0.8
