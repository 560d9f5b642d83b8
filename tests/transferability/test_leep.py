"""LEEP against its exact values, and without 0/0."""

import numpy as np
import pytest

from graft.transferability import leep, nce
from graft.transferability.arrays import entropy


def test_the_published_example(example) -> None:
    assert leep(example.probabilities, example.labels) == pytest.approx(-0.782349, abs=1e-6)


def test_certain_sources_give_nce(rng) -> None:
    source, labels = rng.integers(0, 6, 50), rng.integers(0, 3, 50)
    assert leep(np.eye(6)[source], labels) == pytest.approx(nce(source, labels))


def test_a_source_that_knows_nothing_gives_the_labels_entropy(rng) -> None:
    labels = rng.integers(0, 3, 50)
    uniform = np.full((50, 4), 0.25)
    assert leep(uniform, labels) == pytest.approx(-entropy(np.bincount(labels).astype(float)))


def test_it_is_no_more_than_zero_and_no_less_than_its_bound(rng) -> None:
    theta, labels = rng.dirichlet(np.ones(5), 60), rng.integers(0, 3, 60)
    best = theta.argmax(1)
    bound = nce(best, labels) + np.log(theta[np.arange(60), best]).mean()
    assert bound <= leep(theta, labels) <= 0


def test_a_source_class_that_no_image_has_is_left_out(example) -> None:
    """T42: its p(y | z) is 0/0."""
    more = np.insert(example.probabilities, 1, 0.0, axis=1)
    assert leep(more, example.labels) == pytest.approx(leep(example.probabilities, example.labels))


def test_a_source_class_of_hardly_any_mass_is_no_trouble(example) -> None:
    more = np.insert(example.probabilities, 1, 1e-320, axis=1)
    assert leep(more, example.labels) == pytest.approx(leep(example.probabilities, example.labels))


def test_logits_are_refused(example) -> None:
    """T42: they would give a number all the same."""
    for wrong in (np.log(example.probabilities), example.probabilities * 2, example.probabilities - 1):
        with pytest.raises(ValueError, match="not logits"):
            leep(wrong, example.labels)
