"""Adaptation by scale: the norm of the features grows, or the layers normalise by the target's statistics."""

from dataclasses import dataclass

import torch
from torch.linalg import vector_norm

from graft.adaptation.adaptation import Domain, Step, single_precision


@dataclass(frozen=True)
class Afn:
    """Weight times the mean of (‖f‖ + Δr − ‖f‖)² over the samples of both domains, the first ‖f‖ fixed.

    Stepwise adaptive feature norm: Xu, Li, Yang and Lin 2019, https://arxiv.org/abs/1811.07456. Its value is
    Δr² whatever the features are; its gradient lengthens each of them. The mean is the paper's, over all
    samples; the authors' code adds up the two domains' means, so its weight is half of this one.

    Args:
        weight: of the term.
        increase: Δr.
    """

    weight: float = 0.05
    increase: float = 1.0

    def prepare(self, width: int, classes: int) -> None:
        """Nothing to prepare: it looks at each step alone."""

    def step(self, source: Domain, target: Domain, progress: float) -> Step:  # noqa: D102
        with single_precision(source, target) as (first, second):
            norms = vector_norm(torch.cat([first.features, second.features]), dim=1)
            growth = (norms.detach() + self.increase - norms).square().mean()
        return Step({"norm": self.weight * growth}, {})


@dataclass(frozen=True)
class AdaBN:
    """No term: the target's mean and variance, in the normalisation layers, are all that it takes.

    Li, Wang, Shi, Liu and Hou 2016, https://arxiv.org/abs/1603.04779.
    """

    def prepare(self, width: int, classes: int) -> None:
        """Nothing to prepare: it has no term."""

    def step(self, source: Domain, target: Domain, progress: float) -> Step:
        """Nothing to add."""
        return Step({}, {})
