"""What solved heads say of images that they were not made of."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from graft.data.samples import Indices
from graft.models.head import fit_standardization, linear
from graft.objective.folding import Fold, folds_of
from graft.objective.solving import PENALTIES, improbability
from graft.optim import LBFGS

Probabilities = NDArray[np.float64]
# Few images are parted anew, this often at most, until there are so many judgements.
REPEATS, JUDGEMENTS = 5, 2000
# A decade apart, and solved less sharply than a run's head, which takes a fifth of the time: what the next
# penalty or digit changes is far less than what another fold does.
EVERY_OTHER, WORSE, TOLERANCE = PENALTIES[::2], 2, 1e-4


def out_of_fold(
    features: Tensor,
    labels: Indices,
    classes: int,
    groups: Indices | None = None,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> Probabilities:
    """What each image is by heads that it was no part of: `(N, C)`, rows of NaN where there are none.

    The mean over several ways to part few images. There are none of the only image of its class.

    Args:
        features: `(N, D)`.
        labels: `(N,)`.
        classes: C.
        groups: `(N,)` which images belong together, so that no fold parts them.
        seed: of the folds.
        check: called after each penalty; may raise to stop.
    """
    repeats = min(REPEATS, max(1, -(-JUDGEMENTS // max(1, len(labels)))))
    said = [
        judged(features, labels, classes, folds, check)
        for repeat in range(repeats)
        if (folds := folds_of(labels, groups, seed + repeat))
    ]
    if not said:
        return np.full((len(labels), classes), np.nan)
    mean: Probabilities = np.mean(said, axis=0)
    return mean


@torch.no_grad()
def judged(
    features: Tensor,
    labels: Indices,
    classes: int,
    folds: Sequence[Fold],
    check: Callable[[], None] = lambda: None,
    tolerance: float = TOLERANCE,
) -> Probabilities:
    """For images that a fold judges, what the head of those it learns from says: `(N, C)`, NaN for others.

    Standardisation and head are made inside a fold, and its penalty is the one that suits all other folds
    best; of a single fold, the one that suits what it judges. `folds` part the images: none is judged twice.
    The largest entry of a solution's gradient may be `tolerance`.
    """
    targets = torch.from_numpy(labels)
    judges = [targets[judge] for _, judge in folds]
    # What was best so far for each fold: its surprise to the others, and what is said with that penalty.
    best, said = np.full(len(folds), np.inf), [torch.empty(0)] * len(folds)
    since = np.zeros(len(folds), int)
    paths = (_path(features, targets, classes, fold, tolerance) for fold in folds)
    for penalty, logits in zip(EVERY_OTHER, zip(*paths, strict=True), strict=True):
        check()
        losses = np.array(
            [float(cross_entropy(*pair, reduction="sum")) for pair in zip(logits, judges, strict=True)]
        )
        surprise = losses.sum() - losses if len(folds) > 1 else losses
        surprise += improbability(penalty)
        better = surprise < best
        for fold in np.flatnonzero(better).tolist():
            said[fold] = logits[fold].softmax(1)
        best, since = np.minimum(best, surprise), np.where(better, 0, since + 1)
        # Weaker penalties overfit more.
        if (since >= WORSE).all():
            break
    found = np.full((len(labels), classes), np.nan)
    for (_, judge), probabilities in zip(folds, said, strict=True):
        found[judge] = probabilities.numpy()
    return found


def _path(features: Tensor, targets: Tensor, classes: int, fold: Fold, tolerance: float) -> Iterator[Tensor]:
    """Logits `(M, C)` of what a fold judges, a penalty at a time."""
    learn, judge = fold
    head = linear(features.shape[1], classes, standardize=True)
    fit_standardization(head, features[learn])
    inputs, wanted = head[:-1](features[judge]).double(), targets[learn]
    minima = LBFGS(tolerance_grad=tolerance).minima(
        head[:-1](features[learn]), classes, lambda logits: cross_entropy(logits, wanted), EVERY_OTHER
    )
    for minimum in minima:
        yield inputs @ minimum.weight.T + minimum.bias
