"""Adaptation by what the network predicts for the target: less confusion, or its own labels."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from graft.adaptation.adaptation import Domain, Step, single_precision


@dataclass(frozen=True)
class Mcc:
    """Weight times `class_confusion` of the target's logits.

    Minimum class confusion: Jin, Wang, Long and Wang 2020, https://arxiv.org/abs/1912.03699.

    Args:
        weight: of the term.
        temperature: T, by which the logits are divided.
    """

    weight: float = 1.0
    temperature: float = 2.5

    def prepare(self, width: int, classes: int) -> None:
        """Nothing to prepare: it looks at each step alone."""

    def step(self, source: Domain, target: Domain, progress: float) -> Step:  # noqa: D102
        with single_precision(source, target) as (_, second):
            confusion = class_confusion(second.logits, self.temperature)
        return Step({"confusion": self.weight * confusion}, {})


@dataclass(frozen=True)
class SelfTraining:
    """Weight times the cross-entropy of the target to the network's own labels, where it is sure of them.

    Pseudo-labels (Lee 2013, Pseudo-label, ICML workshop on challenges in representation learning), of the
    samples whose largest probability reaches the threshold; the sum over these is divided by all B samples,
    as in Sohn et al. 2020, https://arxiv.org/abs/2001.07685, eq. 4, so that few of them weigh little. No
    gradient goes through the labels and the choice. `pseudo_share` is the share of samples that count.

    Args:
        weight: of the term.
        threshold: of the probability, from 0 to 1; 0 takes every sample.
    """

    weight: float = 1.0
    threshold: float = 0.9

    def prepare(self, width: int, classes: int) -> None:
        """Nothing to prepare: it looks at each step alone."""

    def step(self, source: Domain, target: Domain, progress: float) -> Step:  # noqa: D102
        with single_precision(source, target) as (_, second):
            probability, label = second.logits.detach().softmax(1).max(1)
            sure = (probability >= self.threshold).to(probability.dtype)
            losses = cross_entropy(second.logits, label, reduction="none")
            term = (sure * losses).mean()
        return Step({"pseudo": self.weight * term}, {"pseudo_share": sure.mean()})


def entropies(probabilities: Tensor) -> Tensor:
    """The entropy of each row of `(B, C)`, in nats, detached: its slope at 0 is infinite."""
    found: Tensor = torch.special.entr(probabilities.detach()).sum(1)
    return found


def certainty(probabilities: Tensor) -> Tensor:
    """1 + exp(−H) of each row of `(B, C)`, divided by the mean: more weight to what is sure; detached."""
    weights = 1 + torch.exp(-entropies(probabilities))
    return weights / weights.mean()


def class_confusion(logits: Tensor, temperature: float) -> Tensor:
    """Σ_{j ≠ k} Ĉ_jk / C of logits `(B, C)`: how much two classes share their samples, from 0 to 1 − 1/C.

    Jin et al. 2020, eqs. 2 to 6. With the probabilities p = softmax(logits / T) and the samples' weights w,
    `certainty` of them, C_jk = Σ_i w_i p_ij p_ik, and Ĉ has its rows divided by their sums. No gradient goes
    through w, as in the authors' code.

    A row of C sums to s_j = Σ_i w_i p_ij, since p_i sums to 1. So the off-diagonal sum of row j of Ĉ is
    1 − Σ_i w_i p_ij² / s_j, and no matrix is needed. A class that is never predicted, s_j = 0, has what the
    formula tends to, 1 (a row of Ĉ would be 0 divided by 0), and no gradient.
    """
    probabilities = torch.softmax(logits / temperature, dim=1)
    weighted = certainty(probabilities)[:, None] * probabilities
    sums = weighted.sum(0).clamp_min(torch.finfo(logits.dtype).tiny)
    return 1 - ((weighted * probabilities).sum(0) / sums).mean()
