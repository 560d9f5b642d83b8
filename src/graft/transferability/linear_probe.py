"""How well a linear classifier on the features does on images that it was not fitted to."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from graft.transferability.arrays import labelled

FOLDS = 5
# Strengths of the penalty to choose from, as shares of N·D, which is the trace of standardised features' FᵀF.
PENALTIES = np.logspace(-6, 1, 15)


def probe_accuracy(
    features: ArrayLike, labels: ArrayLike, seed: int = 0, groups: Sequence[str] | None = None
) -> float:
    """Accuracy of a linear classifier by stratified cross-validation, over all images together.

    A ridge classifier (least squares on ±1): it is solved in closed form, and so is the choice of its
    penalty, by leave-one-out. Both, and the features' mean and variance, are fitted inside the fold.

    There are `FOLDS` folds, or as many as the smallest class has images, but at least 2. The only image of a
    class is never known.

    No fold divides a group, such as the pictures of one patient, by which an image would be known again: what
    is said above of a class's images then holds for its groups. `groups` has the name of each image's.

    Raises:
        ValueError: the shapes do not fit, a feature is NaN or infinite, or there is one class alone.
    """
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    matrix, places = labelled(features, labels)
    group_of = np.arange(len(places)) if groups is None else np.unique(groups, return_inverse=True)[1]
    # Of each class the images, or the groups, that folds can divide.
    counts = np.bincount(np.unique(np.stack([places, group_of]), axis=1)[0])
    if len(counts) < 2:
        raise ValueError("one class alone gives nothing to tell apart")
    penalties = PENALTIES * matrix.size
    probe = make_pipeline(StandardScaler(), RidgeClassifierCV(penalties))
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    parts = kind(max(2, min(FOLDS, int(counts.min()))), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class with a single image; what that means is said above.
        warnings.filterwarnings("ignore", "The least populated class")
        predicted = cross_val_predict(
            probe, matrix, places, cv=parts, groups=None if groups is None else group_of
        )
    return float((predicted == places).mean())
