"""Adaptation by a discriminator of domains, which the features learn to deceive."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from graft.adaptation.adaptation import Domain, Step, single_precision
from graft.adaptation.predictions import certainty

# Of the random maps of CDAN; the paper's.
RANDOM_WIDTH = 1024


class Dann(nn.Module):
    """Weight times the discriminator's cross-entropy on features whose gradient is reversed.

    Ganin et al. 2016, https://arxiv.org/abs/1505.07818. The discriminator descends on it, and the backbone
    ascends, with the strength λ of `reversal_strength`, which is no factor of the discriminator's gradient.

    Args:
        weight: of the term, for both of them.
        hidden: units in each of the discriminator's two hidden layers.
    """

    def __init__(self, weight: float = 1.0, hidden: int = 256) -> None:
        super().__init__()
        self.weight = weight
        self.hidden = hidden
        self.discriminator = nn.Sequential()

    def prepare(self, width: int, classes: int) -> None:
        """Make the discriminator of features of this width."""
        self.discriminator = discriminator(width, self.hidden)

    def step(self, source: Domain, target: Domain, progress: float) -> Step:  # noqa: D102
        strength = reversal_strength(progress)
        with single_precision(source, target) as domains:
            said = [tell(self.discriminator, reverse(domain.features, strength)) for domain in domains]
            return against(said, [None, None], self.weight)


class Cdan(nn.Module):
    """As `Dann`, but the discriminator sees the features together with the prediction: f ⊗ softmax(logits).

    Long, Cao, Wang and Jordan 2018, https://arxiv.org/abs/1705.10667. No gradient goes through the
    prediction, so the features alone learn to deceive. Where D · C numbers are too many, it sees the
    randomised map (R_f f) ⊙ (R_g g) / √d to d = 1024 instead, of fixed standard normal R.

    Args:
        weight: of the term, for discriminator and backbone.
        hidden: units in each of the discriminator's two hidden layers.
        entropy: weigh each sample with 1 + exp(−H), H being the entropy of its prediction and the mean of
            the weights 1 in each domain: the paper's CDAN+E.
        most: numbers D · C that the discriminator may see; the random maps take the place of more.

    Attributes:
        map_features: R_f transposed, `(D, 1024)`; without numbers where no random map is needed.
        map_predictions: R_g transposed, `(C, 1024)`; likewise.
    """

    map_features: Tensor
    map_predictions: Tensor

    def __init__(
        self, weight: float = 1.0, hidden: int = 256, entropy: bool = True, most: int = 4096
    ) -> None:
        super().__init__()
        self.weight = weight
        self.hidden = hidden
        self.entropy = entropy
        self.most = most
        self.discriminator = nn.Sequential()
        self.register_buffer("map_features", torch.zeros(0, 0))
        self.register_buffer("map_predictions", torch.zeros(0, 0))

    def prepare(self, width: int, classes: int) -> None:
        """Make the discriminator, and draw the random maps where they are needed."""
        seen = width * classes
        if seen > self.most:
            seen = RANDOM_WIDTH
            self.map_features = torch.randn(width, seen)
            self.map_predictions = torch.randn(classes, seen)
        self.discriminator = discriminator(seen, self.hidden)

    def step(self, source: Domain, target: Domain, progress: float) -> Step:  # noqa: D102
        strength = reversal_strength(progress)
        said, weights = [], []
        with single_precision(source, target) as domains:
            for features, logits in domains:
                predictions = logits.detach().softmax(1)
                seen = self.conditioned(reverse(features, strength), predictions)
                said.append(tell(self.discriminator, seen))
                weights.append(certainty(predictions) if self.entropy else None)
            return against(said, weights, self.weight)

    def conditioned(self, features: Tensor, predictions: Tensor) -> Tensor:
        """Features `(B, D)` and predictions `(B, C)` as one, `(B, D · C)` or `(B, 1024)`."""
        if not self.map_features.numel():
            return (features[:, :, None] * predictions[:, None, :]).flatten(1)
        first, second = (random.to(features.dtype) for random in (self.map_features, self.map_predictions))
        return (features @ first) * (predictions @ second) / math.sqrt(RANDOM_WIDTH)


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, features: Tensor, strength: float) -> Tensor:
        context.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(context: Any, *upstream: Any) -> tuple[Tensor, None]:
        return -context.strength * upstream[0], None


def reverse(features: Tensor, strength: float) -> Tensor:
    """The features as they are; their gradient is −λ times what comes from above, λ being the strength.

    Ganin et al. 2016, eqs. 16 and 17.
    """
    unchanged: Tensor = _Reversal.apply(features, strength)
    return unchanged


def reversal_strength(progress: float) -> float:
    """λ(p) = 2 / (1 + exp(−10p)) − 1 of the progress p of the run: 0 at first, then towards 1.

    Ganin et al. 2016, eq. 14.
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1


def discriminator(width: int, hidden: int) -> nn.Sequential:
    """From `(B, width)` to logits `(B, 1)` of being the source's, without BatchNorm: a step may be mixed."""
    return nn.Sequential(
        *(nn.Linear(width, hidden), nn.ReLU()),
        *(nn.Linear(hidden, hidden), nn.ReLU()),
        nn.Linear(hidden, 1),
    )


def tell(network: nn.Module, seen: Tensor) -> Tensor:
    """A discriminator's logits `(B,)` in the precision of what it sees, whatever its weights' is."""
    logits: Tensor = network(seen.to(next(network.parameters()).dtype))
    return logits.squeeze(1).to(seen.dtype)


def against(said: list[Tensor], weights: list[Tensor | None], weight: float) -> Step:
    """The term and the accuracy of logits `(B,)`, the source's first and then the target's.

    Both are means of the two domains' means, so a larger batch of one is no reason to say its name. With
    weights `(B,)` of mean 1, the losses' means are weighted.
    """
    losses, shares = [], []
    for logits, weighing, truth in zip(said, weights, (1.0, 0.0), strict=True):
        losses.append(
            binary_cross_entropy_with_logits(logits, torch.full_like(logits, truth), weight=weighing)
        )
        shares.append(((logits > 0) == bool(truth)).float().mean())
    return Step(
        {"domain": weight * torch.stack(losses).mean()}, {"domain_accuracy": torch.stack(shares).mean()}
    )
