"""NCE: what is left unknown of the labels once the source's classes are known (arXiv:1908.08142)."""

import numpy as np
from numpy.typing import ArrayLike

from graft.transferability.arrays import entropy, labelled


def nce(source_labels: ArrayLike, labels: ArrayLike) -> float:
    """−H(Y | Z), in nats.

    Args:
        source_labels: z `(N,)`, the source class of each image: the most probable one.
        labels: `(N,)` class ids.

    Returns:
        At most 0, where the source's classes say the labels exactly; at least −H(Y), where they say nothing.

    Raises:
        ValueError: the shapes do not fit.
    """
    given = np.unique(np.asarray(source_labels), return_inverse=True)[1]
    _, places = labelled(given[:, None], labels)
    joint = np.zeros((given.max() + 1, places.max() + 1))
    np.add.at(joint, (given, places), 1)
    weights = joint.sum(1) / len(given)
    return -sum(float(weight) * entropy(row) for weight, row in zip(weights, joint, strict=True))
