"""The nearest neighbours vote; no image votes for itself."""

import numpy as np
import pytest

from graft.transferability import knn_accuracy


def brute(features: np.ndarray, labels: np.ndarray, k: int) -> float:
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    right = 0
    for index in range(len(features)):
        cosines = unit @ unit[index]
        cosines[index] = -np.inf
        nearest = np.argsort(-cosines)[:k]
        votes = np.bincount(labels[nearest], np.exp(cosines[nearest] / 0.07), minlength=labels.max() + 1)
        right += votes.argmax() == labels[index]
    return float(right / len(features))


@pytest.mark.parametrize("k", [1, 5, 20, 1000])
def test_against_one_image_after_another(rng, k) -> None:
    labels = rng.integers(0, 3, 60)
    features = rng.normal(size=(60, 5)) + 0.7 * np.eye(5)[labels]
    assert knn_accuracy(features, labels, k=k) == pytest.approx(brute(features, labels, min(k, 59)))
    assert 0.3 < knn_accuracy(features, labels) < 1


def test_an_image_does_not_vote_for_itself(rng) -> None:
    """With itself among its neighbours every image would be right at k = 1."""
    features = np.repeat(rng.normal(size=(10, 4)), 2, axis=0)
    # Pairs of equal images of different classes.
    assert knn_accuracy(features, np.arange(20) % 2, k=1) == 0


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_features_of_any_size(rng, scale) -> None:
    """T38: exp of a plain product overflows."""
    labels = np.arange(60) % 3
    features = scale * (rng.normal(size=(60, 8)) + 4 * np.eye(8)[labels])
    assert knn_accuracy(features, labels) > 0.95


def test_a_class_of_fewer_images_than_vote_is_heard() -> None:
    """With equal votes the 3 others of a class of 4 would be outvoted, however far the rest is."""
    labels = np.array([0] * 40 + [1] * 4)
    assert knn_accuracy(np.eye(2)[labels], labels) == 1


def test_fewer_images_than_neighbours() -> None:
    """T38: test sets below 100 images stopped others."""
    assert knn_accuracy(np.eye(2)[[0, 0, 1, 1]], [0, 0, 1, 1]) == 1
    with pytest.raises(ValueError, match="no neighbour"):
        knn_accuracy(np.ones((1, 3)), [0])


def test_features_that_are_all_zero_are_no_trouble() -> None:
    assert 0 <= knn_accuracy(np.zeros((10, 3)), np.arange(10) % 2) <= 1
