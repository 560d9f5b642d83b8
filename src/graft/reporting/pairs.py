"""Two groups of runs compared seed by seed, and two runs image by image."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import NamedTuple

from scipy import stats

from graft.reporting.groups import ROUNDING, Group
from graft.runs.records import Run

# With fewer pairs an interval is wide because the spread is hardly known; that is said.
FEW = 5


@dataclass(frozen=True)
class Difference:
    """How far the first group is ahead of the second in a metric, over the repetitions that both have.

    Attributes:
        n: pairs.
        mean: first − second.
        low: the lower end of the 95 % interval by Student's t of the paired differences; None for one pair,
            and where all differences are equal: then nothing is known of their spread.
        p: two-sided paired t test; None where there is no interval.
        holm: `p` corrected for how many comparisons there are (Holm 1979).
    """

    first: str
    second: str
    n: int
    mean: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    holm: float | None = None

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Images:
    """Two runs on the same test images, and how many of these both, one or neither of them has right.

    Attributes:
        repetition: the values that both runs share, such as their seed.
        p: McNemar's exact test: two-sided binomial of the two `only` (McNemar 1947).
    """

    repetition: str
    first: Run
    second: Run
    both: int
    only_first: int
    only_second: int
    neither: int
    p: float


def shared(first: Group, second: Group) -> list[tuple[str, Run, Run]]:
    """The repetitions that both groups have, as text, with the run of each."""
    return [(" ".join(key), run, second.runs[key]) for key, run in first.runs.items() if key in second.runs]


def difference(first: Group, second: Group, metric: str) -> Difference | None:
    """Compare two groups pair by pair; None where no repetition of both has the metric."""
    values = [
        float(run.metrics[metric]) - float(other.metrics[metric])
        for _, run, other in shared(first, second)
        if metric in run.metrics and metric in other.metrics
    ]
    return paired(first.label, second.label, values) if values else None


def paired(first: str, second: str, values: Sequence[float]) -> Difference:
    """The mean of paired differences, at least one, with interval and test where there can be any."""
    n = len(values)
    if n < 2 or stdev(values) < ROUNDING:
        return Difference(first, second, n, mean(values))
    test = stats.ttest_1samp(values, 0.0)
    low, high = map(float, test.confidence_interval())
    return Difference(first, second, n, mean(values), low, high, float(test.pvalue))


def differences(groups: Sequence[Group], metric: str) -> list[Difference]:
    """The first group against each of the others, with p values corrected for their number."""
    pairs = (difference(groups[0], other, metric) for other in groups[1:])
    return corrected([pair for pair in pairs if pair is not None])


def corrected(plain: Sequence[Difference]) -> list[Difference]:
    """The differences with Holm's correction in `holm`."""
    tested = sorted((item.p, place) for place, item in enumerate(plain) if item.p is not None)
    result, most = list(plain), 0.0
    for rank, (p, place) in enumerate(tested):
        most = max(most, min(1.0, p * (len(tested) - rank)))
        result[place] = replace(plain[place], holm=most)
    return result


def images(first: Group, second: Group) -> tuple[list[Images], str]:
    """Compare each pair of runs on their test images.

    Returns:
        One for each repetition whose runs tested the same images, and why there is none for others.
    """
    pairs, reason = [], "no seed in common"
    for repetition, run, other in shared(first, second):
        a, b = run.answers, other.answers
        if a is None or b is None:
            reason = "no predictions.csv with one row an image"
        elif a.keys() != b.keys() or any(a[path].label != b[path].label for path in a):
            reason = "other test images"
        else:
            outcomes = Counter((a[p].predicted == a[p].label, b[p].predicted == b[p].label) for p in a)
            only_first, only_second = outcomes[True, False], outcomes[False, True]
            counts = (outcomes[True, True], only_first, only_second, outcomes[False, False])
            pairs.append(Images(repetition, run, other, *counts, mcnemar(only_first, only_second)))
    return pairs, "" if pairs else reason


def mcnemar(only_first: int, only_second: int) -> float:
    """The p value of McNemar's exact test; 1 where the two are never apart."""
    if not only_first + only_second:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second, 0.5).pvalue)


class Recall(NamedTuple):
    """One class: its test images, and the mean recall of the first and of the second runs."""

    name: str
    images: int
    first: float
    second: float


def recalls(pairs: Sequence[Images]) -> list[Recall]:
    """Each class, in the order of their names."""
    support: Counter[str] = Counter()
    right: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for pair in pairs:
        for run, counter in zip((pair.first, pair.second), right, strict=True):
            for answer in (run.answers or {}).values():
                counter[answer.label] += answer.predicted == answer.label
        support.update(answer.label for answer in (pair.first.answers or {}).values())
    return [
        Recall(name, count // len(pairs), right[0][name] / count, right[1][name] / count)
        for name, count in sorted(support.items())
    ]
