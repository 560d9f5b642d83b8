"""How far a target domain is from the source: whether a backbone's features tell them apart.

A classifier two-sample test (Lopez-Paz and Oquab 2017, https://arxiv.org/abs/1610.06545). Importing this
imports neither torch nor scikit-learn.
"""

from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from graft.data.domains import TargetDomain
from graft.data.sample_data import SampleData

# As many samples of each domain are looked at.
MOST = 2000
# Strengths of the penalty among which those that it learns from choose.
STRENGTHS = np.logspace(-4, 2, 7)


@dataclass(frozen=True)
class DomainGap:
    """How well source and target are told apart, as many samples of each.

    Attributes:
        by: what the features are from, such as "resnet18".
        right: how many of the samples that it did not learn from are told apart rightly.
        of: how many there are.
        shares: for each class its share of the source and of the target; empty without target labels.
    """

    by: str
    right: int
    of: int
    shares: dict[str, tuple[float, float]]

    @property
    def accuracy(self) -> float:
        """The share that is right; half of them are by chance."""
        return self.right / self.of

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of it."""
        # Imported here: it brings torch.
        from graft.evaluation.intervals.proportions import proportion_ends

        low, high = proportion_ends(self.right, self.of)
        return float(low), float(high)

    @property
    def a_distance(self) -> float:
        """The proxy A-distance 2 · (1 − 2 · error), 0 to 2 (Ben-David and others 2007, NIPS 19)."""
        return max(0.0, 2 * (2 * self.accuracy - 1))


def drawn(source: NDArray[np.int64], target: NDArray[np.int64], seed: int) -> list[NDArray[np.int64]]:
    """As many indices of each, at most `MOST`, drawn by the seed and in order."""
    most = min(len(source), len(target), MOST)
    rng = np.random.default_rng(seed)
    return [np.sort(rng.permutation(indices)[:most]) for indices in (source, target)]


def told_apart(
    source: NDArray[np.float32],
    target: NDArray[np.float32],
    belonging: NDArray[np.int64],
    seed: int,
) -> tuple[int, int]:
    """How many samples of a half are told apart rightly by what the other half taught, and of how many.

    Logistic regression on standardised features; its penalty is chosen within the half that teaches.

    Args:
        source: features `(N, D)`.
        target: features `(N, D)`.
        belonging: `(2N,)` which samples, of source and then of target, stay in one half together.
        seed: of the halves.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, GroupShuffleSplit
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = np.concatenate([source, target]).astype(np.float64)
    domain = np.repeat([0, 1], [len(source), len(target)])
    halves = GroupShuffleSplit(1, test_size=0.5, random_state=seed).split(features, domain, belonging)
    teaches, tested = next(iter(halves))
    folds = min(3, int(np.bincount(domain[teaches], minlength=2).min()))
    logistic = GridSearchCV(LogisticRegression(max_iter=1000), {"C": STRENGTHS}, cv=folds)
    classifier = make_pipeline(StandardScaler(), logistic)
    classifier.fit(features[teaches], domain[teaches])
    return int((classifier.predict(features[tested]) == domain[tested]).sum()), len(tested)


def belonging_of(*together: list[str] | None, lengths: tuple[int, ...]) -> NDArray[np.int64]:
    """A number for what belongs together in each of several lists; where nothing does, one a sample."""
    numbers: list[int] = []
    fresh = count()
    for names, length in zip(together, lengths, strict=True):
        known: dict[str, int] = {}
        for place in range(length):
            numbers.append(next(fresh) if names is None else known.setdefault(names[place], next(fresh)))
    return np.array(numbers, np.int64)


def class_shares(data: SampleData, target: TargetDomain) -> dict[str, tuple[float, float]]:
    """For each class its share of the source and of the target; empty where the target has no labels."""
    if target.labels is None:
        return {}
    classes = len(data.class_names)
    shares = [
        np.bincount(labels, minlength=classes) / len(labels)
        for labels in (data.samples.labels, target.labels)
    ]
    return {name: (float(shares[0][i]), float(shares[1][i])) for i, name in enumerate(data.class_names)}
