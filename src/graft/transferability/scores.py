"""All scores of one backbone's features."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from graft.transferability.h_score import h_score
from graft.transferability.leep import leep
from graft.transferability.linear_probe import probe_accuracy
from graft.transferability.logme import logme
from graft.transferability.nce import nce
from graft.transferability.neighbours import knn_accuracy
from graft.transferability.transrate import transrate

# In the order in which they are shown.
NAMES = ("probe", "knn", "logme", "h_score", "leep", "nce", "transrate")


def all_scores(
    features: ArrayLike,
    labels: ArrayLike,
    probabilities: ArrayLike | None = None,
    seed: int = 0,
    groups: Sequence[str] | None = None,
) -> dict[str, float | None]:
    """Each of `NAMES`; None for LEEP and NCE where the source classes' probabilities are not known.

    `groups` are what the probe's folds keep together; the other scores know nothing of them.

    Raises:
        ValueError: the shapes do not fit, a feature is NaN or infinite, or there is one class alone.
    """
    theta = None if probabilities is None else np.asarray(probabilities)
    return {
        "probe": probe_accuracy(features, labels, seed, groups),
        "knn": knn_accuracy(features, labels),
        "logme": logme(features, labels),
        "h_score": h_score(features, labels),
        "leep": None if theta is None else leep(theta, labels),
        "nce": None if theta is None else nce(theta.argmax(1), labels),
        "transrate": transrate(features, labels),
    }
