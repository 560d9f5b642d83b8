"""Distances between the two domains' features: of their covariances, and of their distributions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from graft.adaptation.adaptation import Domain, Step, single_precision


@dataclass(frozen=True)
class Coral:
    """Weight times `squared_coral`: the features' covariances of source and target become alike.

    Sun and Saenko 2016, https://arxiv.org/abs/1607.01719. The paper wants a weight by which the term and the
    source's loss are alike at the end of training.

    Args:
        weight: of the term.
    """

    weight: float = 1.0

    def prepare(self, width: int, classes: int) -> None:
        """Nothing to prepare: it looks at each step alone."""

    def step(self, source: Domain, target: Domain, progress: float) -> Step:  # noqa: D102
        with single_precision(source, target) as (first, second):
            distance = squared_coral(first.features, second.features)
        return Step({"coral": self.weight * distance}, {})


@dataclass(frozen=True)
class Dan:
    """Weight times the biased MMD² of the features, under the mean of Gaussian kernels of several widths.

    Long, Cao, Wang and Jordan 2015, https://arxiv.org/abs/1502.02791, with equal kernel weights that sum to 1
    and the V-statistic, which is 0 where the samples are the same. Published code adds the kernels up
    instead: its weight is this one's divided by `kernels`. K kernels have the variances 2^i · m, i = −⌊K/2⌋
    and on; m is the mean squared distance between two samples of the step, of either domain, and no gradient
    goes through it.

    Args:
        weight: of the term.
        kernels: K.
    """

    weight: float = 1.0
    kernels: int = 5

    def prepare(self, width: int, classes: int) -> None:
        """Nothing to prepare: it looks at each step alone."""

    def step(self, source: Domain, target: Domain, progress: float) -> Step:  # noqa: D102
        with single_precision(source, target) as (first, second):
            features = torch.cat([first.features, second.features])
            distances = squared_distances(features)
            variances = mean_distance(distances, features) * 2.0 ** (
                torch.arange(self.kernels, device=features.device) - self.kernels // 2
            )
            discrepancy = squared_mmd(distances, len(first.features), variances)
        return Step({"mmd": self.weight * discrepancy}, {})


def squared_coral(source: Tensor, target: Tensor) -> Tensor:
    """‖C_s − C_t‖²_F / 4D² of the covariances C of features `(B, D)`; the means play no part.

    One sample has no covariance, and then it is 0.
    """
    if min(len(source), len(target)) < 2:
        return source.new_zeros(())
    away = torch.cov(source.T) - torch.cov(target.T)
    return away.square().sum() / (4 * source.shape[1] ** 2)


def squared_distances(features: Tensor) -> Tensor:
    """Squared Euclidean distances `(N, N)` between features `(N, D)`, by one product of matrices."""
    # Features that lie far from zero would lose their differences.
    centred = features - features.detach().mean(0)
    squares = centred.square().sum(1)
    return (squares[:, None] + squares - 2 * centred @ centred.T).clamp_min(0)


def mean_distance(distances: Tensor, features: Tensor) -> Tensor:
    """The mean of squared distances `(N, N)` over the pairs of N samples with features `(N, D)`, detached.

    Infinite where it is nothing but rounding, so that features that are all the same have kernels of 1 and no
    gradient, instead of 0 divided by 0.
    """
    count = len(distances)
    mean = distances.detach().sum() / max(1, count * (count - 1))
    rounding = (4 * torch.finfo(mean.dtype).eps) ** 2 * features.detach().square().sum(1).mean()
    return torch.where(mean > rounding, mean, torch.inf)


def squared_mmd(distances: Tensor, sources: int, variances: Tensor) -> Tensor:
    """The biased MMD² under the mean of the kernels exp(−d²/2σ²), of variances σ² `(K,)`.

    Gretton et al. 2012, Journal of Machine Learning Research 13, eq. 5. Of squared distances d² `(N, N)`
    between the samples, of which the first `sources` are one of the two, and the rest the other.
    """
    kernel = torch.exp(-distances / (2 * variances[:, None, None])).mean(0)
    within = kernel[:sources, :sources].mean() + kernel[sources:, sources:].mean()
    return within - 2 * kernel[:sources, sources:].mean()
