"""How well a model tells what it knows from what it does not, and how often its sets hold the true label."""

import numpy as np
from numpy.typing import NDArray

from graft.evaluation.assessment import INTERVAL, Metrics
from graft.evaluation.intervals.proportions import proportion_ends
from graft.evaluation.intervals.rankings import ranking_ends
from graft.evaluation.metrics import Floats, Labels

# Of known samples so many pass where the false positive rate is read off.
TRUE_POSITIVES = 0.95


def known_metrics(none: NDArray[np.bool_] | None, sets: NDArray[np.bool_], labels: Labels) -> Metrics:
    """What came of a test of samples whose classes the model knows, with 95 % intervals of shares.

    Args:
        none: `(N,)` which were said to be none of the classes; None where that is not said.
        sets: `(N, C)` which labels were in the set of each.
        labels: `(N,)` true classes.

    Returns:
        `set_coverage`, the share of sets that hold the true label; `set_size`, how many labels they have in
        the mean; and `passed`, the share of samples that were not said to be none of the classes.
    """
    held = sets[np.arange(len(labels)), labels]
    metrics = {**_share("set_coverage", held), "set_size": float(sets.sum(1).mean())}
    return metrics if none is None else {**metrics, **_share("passed", ~none)}


def unknown_metrics(known: Floats, unknown: Floats, threshold: float | None) -> Metrics:
    """How well scores tell samples of the classes from samples of none of them.

    Args:
        known: `(N,)` scores of samples of the classes, N > 0.
        unknown: `(M,)` of samples of none of them, M > 0.
        threshold: below it samples are said to be none of the classes; None: nothing is said.

    Returns:
        `auroc`, the probability that a known sample scores higher than an unknown one, with its interval as
        any AUROC has it; `fpr95`, the share of unknown samples that pass where 95 % of these known ones do,
        without an interval, since the threshold is drawn from them too; `told`, the share of unknown samples
        that are said to be none of the classes, with its interval; and `samples`, M.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    labels = np.repeat([1, 0], [len(known), len(unknown)])
    scores = np.concatenate([known, unknown])
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    both = np.stack([-scores, scores], axis=1)
    few = min(len(known), len(unknown)) < 2
    ends = None if few else ranking_ends(labels, both)[1]["auroc"][1]
    metrics: Metrics = {
        "auroc": float(roc_auc_score(labels, scores)),
        f"auroc{INTERVAL}": None if ends is None else list(ends),
        "fpr95": float(false[np.argmax(true >= TRUE_POSITIVES)]),
    }
    if threshold is not None:
        metrics |= _share("told", unknown < threshold)
    return {**metrics, "samples": len(unknown)}


def _share(name: str, holds: NDArray[np.bool_]) -> Metrics:
    """A share and its interval, Wilson's."""
    low, high = proportion_ends(int(holds.sum()), len(holds))
    return {name: float(holds.mean()), f"{name}{INTERVAL}": [float(low), float(high)]}
