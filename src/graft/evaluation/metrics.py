"""The one place that computes every metric of `graft.configuration.metric_names`.

Those of a test are computed from labels `(N,)` and probabilities `(N, C)`, in float64, those that rank images
from scores `(N, C)` that keep apart what rounds to one probability. They are scikit-learn's where it has
them. What is undefined, such as the recall of a class without an image, is None and enters no mean.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from graft.configuration.metric_names import OF_A_CLASS, SINGLE_LABEL

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]
BINS = 15


def from_confusion(confusion: Tensor) -> dict[str, float]:
    """Accuracy and macro precision, recall and F1 of a confusion matrix `(C, C)`, rows being true classes.

    Macro means over the classes with support, those that have a true example: a class that is absent from
    the data says nothing, whether it is predicted or not. Recall so averaged is scikit-learn's balanced
    accuracy. A class that is never predicted has precision 0. An empty matrix gives nothing.
    """
    confusion = confusion.cpu().double()
    total = confusion.sum()
    if total == 0:
        return {}
    right, support, predicted = confusion.diag(), confusion.sum(1), confusion.sum(0)
    present = support > 0
    recall = right[present] / support[present]
    precision = right[present] / predicted[present].clamp(min=1)
    f1 = 2 * right[present] / (support[present] + predicted[present])
    return {
        "accuracy": float(right.sum() / total),
        "precision_macro": float(precision.mean()),
        "recall_macro": float(recall.mean()),
        "f1_macro": float(f1.mean()),
    }


def measure(
    labels: Labels,
    probabilities: Floats,
    predicted: Labels,
    scores: Floats,
    classes: Sequence[Mapping[str, float | None]] | None = None,
) -> dict[str, float | None]:
    """Every metric of `ASSESSED`; nothing for no images.

    `precision_macro`, `recall_macro`, `f1_macro`, `auroc` and `average_precision` are means of `of_classes`;
    `balanced_accuracy` is `recall_macro` by its other name. `log_loss` is in nats, a probability being at
    least float64's epsilon. `brier` is the mean over images of the squared distance to the true class,
    summed over the classes, from 0 to 2 (Brier 1950, Monthly Weather Review 78, p. 1). `ece` is
    `expected_calibration_error`.

    Args:
        labels: `(N,)` true classes.
        probabilities: `(N, C)`.
        predicted: `(N,)`, the most probable class of each.
        scores: `(N, C)`, ordered as the probabilities of each class: `graft.evaluation.calibration.log_odds`.
        classes: what `of_classes` says of the same, if that is known already.
    """
    from sklearn.metrics import accuracy_score, log_loss

    if not len(labels):
        return {}
    p = np.asarray(probabilities, np.float64)
    classes = classes or of_classes(labels, p, predicted, scores)
    mean = {key: _mean(row[key] for row in classes) for key in OF_A_CLASS}
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "balanced_accuracy": mean["recall"],
        **{metric.name: mean[metric.of_class] for metric in SINGLE_LABEL if metric.of_class},
        "log_loss": float(log_loss(labels, normalized(p), labels=np.arange(p.shape[1]))),
        "brier": float(squared_distances(labels, p).mean()),
        "ece": expected_calibration_error(labels, p, predicted),
    }


def of_classes(
    labels: Labels, probabilities: Floats, predicted: Labels, scores: Floats
) -> list[dict[str, float | None]]:
    """For each of the C classes `support` and the metrics of `OF_A_CLASS`, the class against the rest.

    A class without an image has none of them; one that every image has gets no AUROC, since there is no
    other class. Precision where the class is never predicted is 0. Arguments as `measure`'s.
    """
    from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

    every = np.arange(probabilities.shape[1])
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    rows = []
    for label in every:
        images = int(support[label])
        row: dict[str, float | None] = {"support": images, **dict.fromkeys(OF_A_CLASS)}
        if images:
            row |= {
                "precision": float(precision[label]),
                "recall": float(recall[label]),
                "f1": float(f1[label]),
                "average_precision": float(average_precision_score(labels == label, scores[:, label])),
            }
        if 0 < images < len(labels):
            row["auroc"] = float(roc_auc_score(labels == label, scores[:, label]))
        rows.append(row)
    return rows


def surprises(labels: Labels, probabilities: Floats) -> Floats:
    """`(N,)`: −ln of the true class's probability, as scikit-learn's `log_loss` means it.

    Each row is brought to sum to 1 in float64, which those of single precision do but nearly. Nothing else is
    computed so: the rounding would break ties between images.
    """
    epsilon = np.finfo(np.float64).eps
    whole = normalized(probabilities)
    nats: Floats = -np.log(np.clip(whole[np.arange(len(labels)), labels], epsilon, 1 - epsilon))
    return nats


def normalized(probabilities: Floats) -> Floats:
    """Each row divided by its sum, in float64."""
    p: Floats = np.asarray(probabilities, np.float64)
    whole: Floats = p / p.sum(1, keepdims=True)
    return whole


def squared_distances(labels: Labels, probabilities: Floats) -> Floats:
    """`(N,)`: Σ_c (p_c − [c is the true class])²."""
    of_label = probabilities[np.arange(len(labels)), labels]
    distances: Floats = (probabilities**2).sum(1) - of_label**2 + (1 - of_label) ** 2
    return distances


class Reliability(NamedTuple):
    """Images in bins of their confidence, the probability of the class that was predicted.

    Attributes:
        images: `(BINS,)` how many are in each; the bins are as wide as each other and closed on the right,
            so that a confidence of 1 is in the last.
        confidence: `(BINS,)` mean of each, NaN for an empty one.
        accuracy: `(BINS,)` share of each that is right, NaN for an empty one.
    """

    images: Labels
    confidence: Floats
    accuracy: Floats


def bins_of(confidence: Floats) -> Labels:
    """`(N,)`: the bin, from 0, of each confidence."""
    return np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence, side="left")


def reliability(labels: Labels, probabilities: Floats, predicted: Labels) -> Reliability:
    """How often what is said with some confidence is right; arguments as `measure`'s."""
    p = np.asarray(probabilities, np.float64)
    confidence = p[np.arange(len(labels)), predicted]
    place = bins_of(confidence)
    count = np.bincount(place, minlength=BINS)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, confidence, BINS) / count
        right = np.bincount(place, labels == predicted, BINS) / count
    return Reliability(count, mean, right)


def expected_calibration_error(labels: Labels, probabilities: Floats, predicted: Labels) -> float:
    """Mean distance of accuracy and confidence over the bins, weighted by their images.

    Naeini et al. 2015, as in arXiv:1706.04599, eq. 3, with `BINS` bins. It is biased upwards where bins hold
    few images, so that its interval lies lower than the value does.
    """
    count, confidence, accuracy = reliability(labels, probabilities, predicted)
    filled = count > 0
    return float((count * np.abs(accuracy - confidence))[filled].sum() / count.sum())


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
