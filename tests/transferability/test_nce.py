"""NCE is the negative conditional entropy."""

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from graft.transferability import nce
from graft.transferability.arrays import entropy


def test_the_published_example(example) -> None:
    found = nce(example.probabilities.argmax(1), example.labels)
    assert found == pytest.approx(-0.238693, abs=1e-6)


def test_it_is_mutual_information_less_entropy(rng) -> None:
    source, labels = rng.integers(0, 1000, 80), rng.integers(2, 6, 80)
    labels_entropy = entropy(np.bincount(labels).astype(float))
    assert nce(source, labels) == pytest.approx(mutual_info_score(source, labels) - labels_entropy)


def test_its_ends(rng) -> None:
    labels = rng.integers(0, 4, 60)
    # Any names will do for the source's classes.
    assert nce(labels * 100, labels) == 0
    assert nce(np.full(60, 7), labels) == pytest.approx(-entropy(np.bincount(labels).astype(float)))


def test_the_two_must_be_of_one_length() -> None:
    with pytest.raises(ValueError, match="expected"):
        nce([0, 1, 2], [0, 1])
