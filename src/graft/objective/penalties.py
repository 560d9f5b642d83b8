"""Penalties on the size of the weights, as terms of the loss that any optimizer descends on."""

import torch
from torch import Tensor, nn

from graft.backbones import Backbone
from graft.backbones.inputs import Input
from graft.optim import parameter_groups


class L2:
    """½λ‖w‖² over the weights that train, of backbone and head, without biases and normalisation layers.

    Its gradient λw goes through the optimizer: under SGD that is `optimizer.weight_decay`, under Adam and
    AdamW it is divided by the running gradient size like any other, and so weaker where gradients are large
    (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101).

    Args:
        weight: λ.
    """

    watches = False
    sees_weights_alone = True

    def __init__(self, weight: float = 1e-4) -> None:
        self.weight = weight
        self.parameters: list[nn.Parameter] = []

    def prepare(self, backbone: Backbone, head: nn.Module) -> None:  # noqa: D102
        self.parameters = decayed(backbone, head)

    def term(self, given: Input, boundaries: list[Tensor], target: Tensor) -> Tensor:  # noqa: D102
        squares = (w.square().sum() for w in self.parameters if w.requires_grad)
        return 0.5 * self.weight * sum(squares, target.new_zeros((), dtype=torch.float32))


class L1:
    """λ‖w‖₁ over the weights that train, as for `L2`; draws weights to zero one by one.

    The lasso's penalty (Tibshirani 1996, Journal of the Royal Statistical Society B 58). By gradient steps
    weights come near zero without staying there; at zero the gradient is 0.

    Args:
        weight: λ.
    """

    watches = False
    sees_weights_alone = True

    def __init__(self, weight: float = 1e-5) -> None:
        self.weight = weight
        self.parameters: list[nn.Parameter] = []

    def prepare(self, backbone: Backbone, head: nn.Module) -> None:  # noqa: D102
        self.parameters = decayed(backbone, head)

    def term(self, given: Input, boundaries: list[Tensor], target: Tensor) -> Tensor:  # noqa: D102
        sizes = (w.abs().sum() for w in self.parameters if w.requires_grad)
        return self.weight * sum(sizes, target.new_zeros((), dtype=torch.float32))


def decayed(backbone: nn.Module, head: nn.Module) -> list[nn.Parameter]:
    """The parameters that weight decay would shrink, frozen or not, each once."""
    # Of the optimizer's groups, so that the two never differ on what counts as a weight.
    groups = parameter_groups(backbone, head, lr=1.0, head_lr=None, weight_decay=1.0)
    return [parameter for group in groups if group["weight_decay"] for parameter in group["params"]]
