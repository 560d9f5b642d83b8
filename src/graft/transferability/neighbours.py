"""How often the nearest images, by their features, have an image's class."""

import numpy as np
from numpy.typing import ArrayLike

from graft.transferability.arrays import labelled

NEIGHBOURS = 20
# Of the votes' weights (arXiv:1805.01978): a neighbour whose cosine is 0.07 less has e times less to say.
TEMPERATURE = 0.07


def knn_accuracy(features: ArrayLike, labels: ArrayLike, k: int = NEIGHBOURS) -> float:
    """Accuracy of the k nearest neighbours' vote (k < N), each image left out of its own (leave-one-out).

    Near is by the cosine, and a vote weighs exp(cosine / 0.07): with equal votes a class of fewer images than
    k would be outvoted whatever the features are.

    Raises:
        ValueError: the shapes do not fit, a feature is NaN or infinite, or there is one image alone.
    """
    from sklearn.neighbors import NearestNeighbors

    matrix, places = labelled(features, labels)
    count = len(matrix)
    if count < 2:
        raise ValueError("one image has no neighbour")
    k = min(k, count - 1)
    # Without points as an argument it leaves each point out of its own neighbours.
    nearest = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(matrix)
    distances, neighbours = nearest.kneighbors()
    votes = np.zeros((count, places.max() + 1))
    # Relative to the nearest one, so that no exponential overflows and only far ones vanish.
    weights = np.exp((distances[:, :1] - distances) / TEMPERATURE)
    np.add.at(votes, (np.arange(count)[:, None], places[neighbours]), weights)
    return float((votes.argmax(1) == places).mean())
