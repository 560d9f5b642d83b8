"""Which epoch, or which method, suits a target whose labels nobody has: scores of which higher is better.

Pure functions of validation samples. Labels of the target are no argument of any of them. Importing this
module imports neither scipy nor scikit-learn.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graft.adaptation.density_ratio import density_ratio
from graft.errors import GraftError, did_you_mean

Floats = NDArray[np.float64]

# In the order in which they are shown.
SELECTORS = ("source", "entropy", "snd", "iwv", "dev", "infomax")
# So many validation samples of source and target each of them needs at least.
NEEDS = {"source": (1, 0), "entropy": (0, 1), "snd": (0, 2), "iwv": (2, 2), "dev": (2, 2), "infomax": (0, 1)}
# As many of each domain are seen by those whose cost grows faster than the number.
MOST = 2000
# Of the softmax over neighbours; the paper's.
TEMPERATURE = 0.05


class Validated(NamedTuple):
    """What a network makes of the validation samples of both domains; there may be none of either.

    Attributes:
        source_labels: `(N,)` class ids.
        source_logits: `(N, C)`.
        source_features: `(N, D)`.
        target_logits: `(M, C)`.
        target_features: `(M, D)`.
    """

    source_labels: NDArray[Any]
    source_logits: NDArray[Any]
    source_features: NDArray[Any]
    target_logits: NDArray[Any]
    target_features: NDArray[Any]


def score(selector: str, validated: Validated, seed: int = 0) -> float:
    """The score of one of `SELECTORS`, a number always; scores of two selectors do not compare.

    `snd`, `iwv` and `dev` see at most `MOST` samples of each domain, drawn by the seed.

    Raises:
        GraftError: there is no such selector, it lacks samples, or the network gives NaN or infinity.
    """
    if selector not in SELECTORS:
        near = did_you_mean(selector, SELECTORS)
        raise GraftError(f"adapt.select={selector}: it must be one of {', '.join(SELECTORS)}{near}")
    if lacks(selector, validated):
        domains = "of the source", "of the target"
        needs = " and ".join(f"{n} {of}" for n, of in zip(NEEDS[selector], domains, strict=True) if n)
        counts = len(validated.source_labels), len(validated.target_logits)
        there = " and ".join(f"{n} {of}" for n, of in zip(counts, domains, strict=True))
        raise GraftError(
            f"adapt.select={selector} needs validation samples, {needs} at least, and there are {there}; "
            "see val_fraction, or choose another"
        )
    return _scores([selector], validated, seed)[selector]


def all_scores(validated: Validated, seed: int = 0) -> dict[str, float]:
    """`score` of all `SELECTORS` but those that lack samples.

    Raises:
        GraftError: the network gives NaN or infinity.
    """
    return _scores([name for name in SELECTORS if not lacks(name, validated)], validated, seed)


def lacks(selector: str, validated: Validated) -> bool:
    """Whether there are too few samples for a selector."""
    sources, targets = NEEDS[selector]
    return len(validated.source_labels) < sources or len(validated.target_logits) < targets


def _scores(selectors: Collection[str], validated: Validated, seed: int) -> dict[str, float]:
    for name, values in zip(validated._fields, validated, strict=True):
        if not np.isfinite(values).all():
            what = name.replace("_", " validation ")
            raise GraftError(f"adapt: the network gives NaN or infinity for {what}; lower optimizer.lr")
    some = draw(validated, seed)
    found = dict.fromkeys(selectors, 0.0)
    if "source" in found:
        found["source"] = float(right(validated).mean())
    if "entropy" in found:
        found["entropy"] = -mean_entropy(validated.target_logits)
    if "snd" in found:
        found["snd"] = neighbourhood_density(some.target_logits)
    if found.keys() & {"iwv", "dev"}:
        weights = density_ratio(some.source_features, some.target_features, seed)
        if "iwv" in found:
            found["iwv"] = weighted_accuracy(right(some), weights)
        if "dev" in found:
            found["dev"] = -controlled_risk(log_losses(some), weights)
    if "infomax" in found:
        found["infomax"] = mutual_information(validated.target_logits)
    return found


def draw(validated: Validated, seed: int) -> Validated:
    """At most `MOST` samples of each domain, in their order, in float64."""
    generator = np.random.default_rng(seed)
    labels, *values = validated
    kept = [
        np.sort(generator.permutation(count)[:MOST]) for count in (len(labels), len(validated.target_logits))
    ]
    source_logits, source_features, target_logits, target_features = (
        np.asarray(array[rows], np.float64)
        for array, rows in zip(values, (kept[0], kept[0], kept[1], kept[1]), strict=True)
    )
    return Validated(labels[kept[0]], source_logits, source_features, target_logits, target_features)


def right(validated: Validated) -> Floats:
    """1 for a source sample whose class is predicted, 0 for another, `(N,)`."""
    rights: Floats = (validated.source_logits.argmax(1) == validated.source_labels).astype(np.float64)
    return rights


def log_losses(validated: Validated) -> Floats:
    """Of each source sample −log of its class's probability, in nats, `(N,)`."""
    from scipy.special import log_softmax

    logs = log_softmax(validated.source_logits.astype(np.float64), axis=1)
    losses: Floats = -np.take_along_axis(logs, validated.source_labels.astype(np.int64)[:, None], axis=1)[
        :, 0
    ]
    return losses


def mean_entropy(logits: NDArray[Any]) -> float:
    """The mean entropy of the predictions, in nats, of logits `(M, C)`."""
    from scipy.special import entr, softmax

    return float(entr(softmax(logits.astype(np.float64), axis=1)).sum(1).mean())


def mutual_information(logits: NDArray[Any]) -> float:
    """The entropy of the mean prediction minus `mean_entropy`: sure of each sample, and of all classes.

    Shi and Sha 2012, https://arxiv.org/abs/1206.6438, eq. 5.
    """
    from scipy.special import entr, softmax

    mean = softmax(logits.astype(np.float64), axis=1).mean(0)
    return float(entr(mean).sum()) - mean_entropy(logits)


def neighbourhood_density(logits: Floats) -> float:
    """Soft neighbourhood density of logits `(M, C)`, from 0 to log(M − 1): how many neighbours a sample has.

    Saito et al. 2021, https://arxiv.org/abs/2108.10860, eqs. 2 and 3: the mean entropy of the softmax over
    the other samples' similarities, divided by the temperature. As in the authors' code, a similarity is the
    cosine of two predictions, not of two samples' features. It leaves the sample itself out, as the paper
    says; the code gives it the least similarity there is, −1.
    """
    from scipy.special import softmax

    predictions = softmax(logits, axis=1)
    predictions /= np.linalg.norm(predictions, axis=1, keepdims=True)
    # From 0 to 20, so that no exponential overflows.
    similarities = predictions @ predictions.T / TEMPERATURE
    shares = np.exp(similarities)
    np.fill_diagonal(shares, 0)
    totals = shares.sum(1)
    # −Σ p log p of p = shares / total, whose logarithm is similarity − log(total).
    entropies = np.log(totals) - (shares * similarities).sum(1) / totals
    return float(entropies.mean())


def weighted_accuracy(rights: Floats, weights: Floats) -> float:
    """Importance-weighted validation: Σ w_i · right_i / Σ w_i of source samples `(N,)`.

    Sugiyama, Krauledat and Müller 2007, Journal of Machine Learning Research 8, for accuracy, and divided by
    the weights' sum instead of N, so that it is an accuracy, from 0 to 1.
    """
    return float(np.average(rights, weights=weights))


def controlled_risk(losses: Floats, weights: Floats) -> float:
    """Deep embedded validation: mean(wℓ) + η · mean(w) − η of source samples' losses and weights `(N,)`.

    You, Wang, Long and Jordan 2019, Towards accurate model selection in deep unsupervised domain adaptation,
    ICML: η = −Cov(wℓ, w) / Var(w) takes from the weighted risk what is due to weights that do not average to
    1. Weights that are all alike have no such part.
    """
    weighted = weights * losses
    covariance, variance = np.cov(weighted, weights)[1]
    # By rounding, the variance of equal numbers need not be 0.
    eta = -covariance / variance if np.ptp(weights) > 0 else 0.0
    return float(weighted.mean() + eta * weights.mean() - eta)
