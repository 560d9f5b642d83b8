"""LEEP: how likely the labels are, told by the source classes' probabilities alone (arXiv:2002.12462)."""

import numpy as np
from numpy.typing import ArrayLike

from graft.transferability.arrays import source_probabilities


def leep(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """The mean of log Σ_z p(y | z) θ(x)_z, where p(y | z) is counted from the same images.

    Args:
        probabilities: θ `(N, S)`, what the source's head says of each image; no logits. A source class that
            no image has any probability of says nothing, and is left out.
        labels: `(N,)` class ids.

    Returns:
        At most 0; at least minus the entropy of the labels.

    Raises:
        ValueError: the shapes do not fit, or a row is no distribution.
    """
    theta, places = source_probabilities(probabilities, labels)
    theta = theta[:, theta.sum(0) > 0]
    joint = np.zeros((places.max() + 1, theta.shape[1]))
    np.add.at(joint, places, theta)
    given = joint / joint.sum(0)
    expected = (theta * given[places]).sum(1) / theta.sum(1)
    return float(np.log(expected).mean())
