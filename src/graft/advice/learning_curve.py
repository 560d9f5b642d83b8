"""Would more labels help? The solved head on ever more of the images, and what twice as many would give."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from graft.advice.power_law import Estimate, PowerLaw, fit_power_law
from graft.data.samples import Indices
from graft.objective.folding import Fold, folds_of
from graft.objective.out_of_fold import judged

# Of the images of a fold that are learnt from, each share within the next.
SHARES = (0.1, 0.2, 0.4, 0.7, 1.0)
# Images of which a head says something: so many, and so many of a class, on average.
LEAST, LEAST_OF_CLASS = 10, 2
# A power law has three parameters.
LEAST_SIZES = 3
# With fewer than so many wrong answers to all sizes, the curve is a matter of single images.
LEAST_ERRORS = 5
# Draws, from fewest to most, and the images that they learn from, all draws together.
DRAWS, LEARNT = (3, 5), 2000
# A head of a few images more or less differs by far more than by what is left of its gradient.
TOLERANCE = 1e-3
# Of many images not every fold judges.
JUDGING = 20_000
# An interval that reaches from less than this share of its upper end to more than so much says nothing.
WIDE, MUCH = 0.2, 0.03


@dataclass(frozen=True)
class LearningCurve:
    """The error of heads of ever more images, and the power law through it.

    Attributes:
        sizes: `(S,)` images that a head was made of, on average over folds and draws.
        errors: `(T, S)` share of the judged images that it had wrong, a row a draw.
        judged: images that were judged in each draw, by heads that they were no part of.
        now: images that there are.
        law: None where there are too few images for one.
        reason: why there is none; empty where there is.
    """

    sizes: NDArray[np.float64]
    errors: NDArray[np.float64]
    judged: int
    now: int
    law: PowerLaw | None = None
    reason: str = ""

    @property
    def points(self) -> list[dict[str, float]]:
        """A row a size: images, mean accuracy, its standard deviation over the draws, draws."""
        draws = len(self.errors)
        return [
            {
                "images": round(float(size), 1),
                "accuracy": 1 - float(errors.mean()),
                "deviation": float(errors.std(ddof=1)) if draws > 1 else 0.0,
                "draws": draws,
            }
            for size, errors in zip(self.sizes, self.errors.T, strict=True)
        ]

    def gain(self, times: float = 2.0) -> Estimate | None:
        """What so many times the labels add to the accuracy, with its 95 % interval; None without a law."""
        return None if self.law is None else self.law.gain(self.now, times * self.now)

    @property
    def told(self) -> bool:
        """Whether the gain of twice the labels can be told: it is small, or not small."""
        gain = self.gain()
        return gain is not None and (gain.high <= MUCH or gain.low >= WIDE * gain.high)

    def sentence(self) -> str:
        """Such as "twice the labels (400 for 200): +1.8 points of accuracy (0.9 to 2.6)"."""
        gain = self.gain()
        if gain is None:
            return f"what twice the labels would give cannot be told: {self.reason}"
        low, high = f"{100 * gain.low:.1f}", f"{100 * gain.high:.1f}"
        twice = f"twice the labels ({2 * self.now:,} for {self.now:,})"
        if not self.told:
            return f"{twice}: cannot be told, anything from +{low} to +{high} points of accuracy"
        return f"{twice}: +{100 * gain.value:.1f} points of accuracy ({low} to {high})"


def learning_curve(
    features: Tensor,
    labels: Indices,
    classes: int,
    groups: Indices | None = None,
    *,
    now: int | None = None,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> LearningCurve:
    """Measure and fit the curve: out of fold, so that every image judges heads that it was no part of.

    Args:
        features: `(N, D)` of the images that may be looked at, so without those of the test.
        labels: `(N,)`.
        classes: C.
        groups: `(N,)` which images belong together: no fold parts them, and they are drawn together.
        now: images that a run learns from, whose doubling is asked for; None: N.
        seed: of folds and draws.
        check: called after each penalty of each head; may raise to stop.
    """
    count = len(labels)
    nothing = np.empty((0, 0))
    draws = int(np.clip(LEARNT // max(1, count), *DRAWS))
    wrong, sizes = [], []
    for draw in range(draws):
        folds = folds_of(labels, groups, seed + draw)[: max(1, JUDGING // max(1, count))]
        learnt = min((len(learn) for learn, _ in folds), default=0)
        shares = [share for share in SHARES if share * learnt >= max(LEAST, LEAST_OF_CLASS * classes)]
        if len(shares) < LEAST_SIZES:
            reason = f"{count} images of {classes} classes are too few to leave some out"
            return LearningCurve(nothing[0:0].ravel(), nothing, 0, now or count, None, reason)
        drawn = np.random.default_rng([seed, draw])
        parts = list(zip(*(nested(fold, labels, groups, shares, drawn) for fold in folds), strict=True))
        said = [judged(features, labels, classes, part, check, TOLERANCE) for part in parts]
        # NaN where no fold judges; those are left out below.
        wrong.append([np.where(np.isnan(p[:, 0]), np.nan, p.argmax(1) != labels) for p in said])
        sizes.append([float(np.mean([len(learn) for learn, _ in part])) for part in parts])
    return _fitted(np.array(wrong), np.mean(sizes, axis=0), len(parts[0]), count, groups, now or count)


def nested(
    fold: Fold, labels: Indices, groups: Indices | None, shares: list[float], drawn: np.random.Generator
) -> Iterator[Fold]:
    """The fold with each share of what it learns from, every class in proportion, each within the next."""
    learn, judge = fold
    # Images of a group are drawn as one, which counts to the class of its first.
    belonging = np.arange(len(learn)) if groups is None else groups[learn]
    _, first, unit_of = np.unique(belonging, return_index=True, return_inverse=True)
    kinds = labels[learn][first]
    key = np.empty(len(first))
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        key[drawn.permutation(members)] = (np.arange(len(members)) + drawn.random()) / len(members)
    place = np.empty(len(first), int)
    place[np.argsort(key)] = np.arange(len(first))
    order = learn[np.argsort(place[unit_of], kind="stable")]
    rank = np.sort(place[unit_of], kind="stable")
    for share in shares:
        # All of the group that reaches the share.
        last = rank[round(share * len(order)) - 1]
        yield order[rank <= last], judge


def _fitted(
    wrong: NDArray[np.float64],
    sizes: NDArray[np.float64],
    folds: int,
    count: int,
    groups: Indices | None,
    now: int,
) -> LearningCurve:
    """The curve of `wrong`, `(T, S, N)`: whether an image was answered wrongly, NaN where none asked."""
    errors = np.nanmean(wrong, axis=2)
    images = int((~np.isnan(wrong[0, 0])).sum())
    if np.nansum(wrong.mean(0)) < LEAST_ERRORS:
        reason = f"of {images} images too few are wrong, which is as good as these images can measure"
        return LearningCurve(sizes, errors, images, now, None, reason)
    covariance = covariance_of(wrong, sizes, folds, count, groups)
    law = fit_power_law(sizes, errors.mean(0), covariance)
    return LearningCurve(sizes, errors, images, now, law)


def covariance_of(
    wrong: NDArray[np.float64],
    sizes: NDArray[np.float64],
    folds: int,
    count: int,
    groups: Indices | None,
) -> NDArray[np.float64]:
    """`(S, S)` of the mean errors, over other images to judge by and over others to learn from.

    What judges is common to all sizes, so that most of it cancels in their differences. What is learnt from
    is drawn from the same images again and again: heads of a share ρ of them have that share in common, so
    their variance over draws, s², is 1 - ρ of what it would be with new images (after Nadeau and Bengio
    2003, https://doi.org/10.1023/A:1024068626366).
    """
    draws, kinds, _ = wrong.shape
    asked = ~np.isnan(wrong)
    error = np.nanmean(wrong, axis=(0, 2))
    # Each image's mean over the draws, less the mean of all; images of a group are one.
    answered = asked.sum(0)
    off = np.where(answered > 0, np.nansum(wrong, axis=0) - answered * error[:, None], 0)
    off /= answered.sum(1)[:, None]
    if groups is not None:
        _, places = np.unique(groups, return_inverse=True)
        off = np.stack([np.bincount(places, row) for row in off])
    judging = off @ off.T
    if draws < 2:
        return judging + np.diag(error * (1 - error) / asked[0, 0].sum())
    share = np.minimum(sizes / count, 0.95)
    variance = np.nanmean(wrong, axis=2).var(0, ddof=1)
    # Of a single head of new images. Few draws say little of it, but it falls with the size like a power.
    single = variance * folds / (1 - share)
    least = (0.1 / count) ** 2
    slope, level = np.polyfit(np.log(sizes), np.log(np.maximum(single, least)), 1)
    smooth = np.exp(level + slope * np.log(sizes))
    learning = smooth * (share + (1 - share) / (folds * draws))
    assert len(learning) == kinds
    return judging + np.diag(learning + least)
