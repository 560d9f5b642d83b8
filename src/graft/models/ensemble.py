"""Several trained models as one: the folds of a cross-validation, whose probabilities are averaged."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from graft.backbones.inputs import Input
from graft.errors import GraftError
from graft.models.bundle import Bundle


class SideBySide(nn.Module):
    """Backbones that see the same input: their features `(N, D)`, one after the other, `(N, ΣD)`.

    Args:
        backbones: with the same preprocessing.
    """

    def __init__(self, backbones: Sequence[Any]) -> None:
        super().__init__()
        self.members = nn.ModuleList(backbones)
        self.widths = [int(backbone.width) for backbone in backbones]
        self.width = sum(self.widths)
        self.preprocessing = backbones[0].preprocessing

    def forward(self, given: Input, start: int = 0) -> Tensor:
        """Inputs of N samples to features `(N, ΣD)`; there are no stages to start from but the first."""
        assert start == 0, start
        return torch.cat([member(given) for member in self.members], 1)


class MeanOfHeads(nn.Module):
    """Heads, each on its own backbone's features: the logarithm of their mean probability.

    So the softmax of what comes out is that mean, as in deep ensembles (arXiv:1612.01474).

    Args:
        heads: features `(N, D)` to logits `(N, C)`.
        widths: D of each.
        temperatures: what the logits of each are divided by first.
    """

    def __init__(
        self, heads: Sequence[nn.Module], widths: Sequence[int], temperatures: Sequence[float]
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(heads)
        self.widths = list(widths)
        self.temperatures = list(temperatures)

    def forward(self, features: Tensor) -> Tensor:
        """`(N, ΣD)` to logits `(N, C)`."""
        parts = torch.split_with_sizes(features, self.widths, 1)
        said = [
            torch.log_softmax(head(part).float() / temperature, 1)
            for head, part, temperature in zip(self.members, parts, self.temperatures, strict=True)
        ]
        return torch.stack(said).logsumexp(0) - math.log(len(said))


def ensemble(bundles: Sequence[Bundle], source: str) -> Bundle:
    """One bundle of several, which knows what any of them has seen.

    Args:
        bundles: at least one, of the same classes.
        source: names them in messages.

    Raises:
        GraftError: they prepare their samples differently, or have other classes.
    """
    first = bundles[0]
    for bundle in bundles[1:]:
        if bundle.class_names != first.class_names:
            raise GraftError(f"{source}: its models have other classes, so they are not one model")
        if bundle.preprocessing != first.preprocessing or bundle.levels != first.levels:
            how = f"prepare their {first.kind.plural} by what each has learnt from"
            raise GraftError(f"{source}: its models {how}, so they are not one model; give one of them")
    seen = first.seen
    for bundle in bundles[1:]:
        seen = None if seen is None or bundle.seen is None else seen.with_(bundle.seen)
    backbones = SideBySide([bundle.backbone for bundle in bundles])
    heads = MeanOfHeads(
        [bundle.head for bundle in bundles], backbones.widths, [bundle.temperature for bundle in bundles]
    )
    backbones.eval(), heads.eval()
    return Bundle(
        backbones, heads, first.class_names, first.preprocessing, first.tested, 1.0, first.levels, seen
    )
