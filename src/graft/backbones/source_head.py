"""The source's own last layers, which a backbone leaves out: kept whole, from what enters them to logits."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn


class SourceHead(NamedTuple):
    """The layers by which the source's network gives the logits of its S classes.

    Attributes:
        layers: features `(N, D)` to logits `(N, S)`; where `replaces` is not 0, maps `(N, D, H, W)` to them.
        replaces: how many modules at the end of the backbone's last stage, its pooling, the layers stand in
            the place of. SqueezeNet convolves and cuts at 0 before it pools, so its head takes maps.
    """

    layers: nn.Module
    replaces: int = 0

    def sources(self, width: int) -> int:
        """S, for a backbone of `width` features; draws nothing, and leaves the layers' mode as it is."""
        entering = torch.zeros(1, width, 1, 1) if self.replaces else torch.zeros(1, width)
        training = self.layers.training
        with torch.no_grad():
            classes: int = self.layers.eval()(entering).shape[1]
        self.layers.train(training)
        return classes


def head_of_last_layer(last: Mapping[str, Tensor], width: int, pooling: int) -> SourceHead | None:
    """The head whose last layer has these tensors, which it takes as they are.

    Args:
        last: what a weights file has beside the backbone, under any names that end in `weight` and `bias`.
        width: D.
        pooling: as a `Backbone` has it; not 0 where a 1 × 1 convolution may be the last layer.

    Returns:
        The head; None where the tensors are of more than one layer, or of none that gives logits.
    """
    tensors = {name.rpartition(".")[2]: tensor for name, tensor in last.items()}
    weight = tensors.get("weight")
    if weight is None or len(tensors) < len(last) or not tensors.keys() <= {"weight", "bias"}:
        return None
    sources, bias = len(weight), "bias" in tensors
    if weight.shape == (sources, width):
        layer: nn.Module = nn.Linear(width, sources, bias, device="meta")
        head = SourceHead(layer)
    elif pooling and weight.shape == (sources, width, 1, 1):
        layer = nn.Conv2d(width, sources, 1, bias=bias, device="meta")
        pooled = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
        head = SourceHead(nn.Sequential(layer, nn.ReLU(), *pooled), replaces=pooling)
    else:
        return None
    layer.load_state_dict(tensors, assign=True)
    return head
