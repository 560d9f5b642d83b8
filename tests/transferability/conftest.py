"""The tiny example whose scores an independent implementation gave."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray


class Example(NamedTuple):
    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]


@pytest.fixture
def example() -> Example:
    features = [[1, 0, 2], [2, 1, 0], [0, 1, 1], [1, 2, 0], [3, 0, 1], [0, 3, 1], [2, 2, 3], [1, 1, 4]]
    probabilities = [
        *([0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.5, 0.25, 0.25], [0.1, 0.8, 0.1]),
        *([0.2, 0.6, 0.2], [0.3, 0.3, 0.4], [0.1, 0.1, 0.8], [0.2, 0.2, 0.6]),
    ]
    return Example(np.array(features, float), np.array([0, 0, 0, 1, 1, 1, 2, 2]), np.array(probabilities))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
