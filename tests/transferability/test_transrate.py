"""TransRate is the difference of two coding rates."""

import numpy as np
import pytest

from graft.transferability import transrate


def rate(values: np.ndarray, eps: float = 1e-4) -> float:
    count, width = values.shape
    return float(0.5 * np.linalg.slogdet(np.eye(width) + values.T @ values / (count * eps))[1])


@pytest.mark.parametrize("width", [4, 90])
def test_the_formula(rng, width) -> None:
    labels = np.arange(60) % 3
    features = rng.normal(size=(60, width)) + labels[:, None]
    centred = features - features.mean(0)
    # With classes of one size: as the authors' code has it.
    expected = rate(centred) - np.mean([rate(centred[labels == label]) for label in range(3)])
    assert transrate(features, labels) == pytest.approx(expected)


def test_a_single_class_has_nothing_to_tell(rng) -> None:
    assert transrate(rng.normal(size=(20, 5)), np.zeros(20, int)) == 0


def test_classes_of_other_sizes_never_make_it_negative(rng) -> None:
    """The mean over classes whatever their size would: here nine of ten are small, and long to code."""
    labels = np.repeat(np.arange(10), [2000, *[5] * 9])
    features = rng.normal(size=(len(labels), 5)) * np.where(labels == 0, 0.01, 10)[:, None]
    centred = features - features.mean(0)
    assert rate(centred) - np.mean([rate(centred[labels == label]) for label in range(10)]) < 0
    assert transrate(features, labels) > 0


def test_rotation_does_not_matter_and_size_does(rng) -> None:
    labels = rng.integers(0, 3, 50)
    features = 0.01 * (rng.normal(size=(50, 6)) + labels[:, None])
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert transrate(features @ rotation, labels) == pytest.approx(transrate(features, labels))
    assert transrate(10 * features, labels) > transrate(features, labels) * 1.01


def test_what_tells_classes_apart_scores_more(rng) -> None:
    labels = rng.integers(0, 3, 50)
    noise = rng.normal(size=(50, 6))
    assert transrate(noise + 3 * np.eye(6)[labels], labels) > transrate(noise, labels)
