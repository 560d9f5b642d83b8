"""L2-SP: the penalty draws the backbone to where it came from, not to zero."""

import torch
from torch import Tensor, nn

from graft.backbones import Backbone
from graft.backbones.inputs import Input


class L2SP:
    """½α‖w − w0‖² over the backbone's parameters that train, and ½β‖w‖² over the head's.

    Li, Grandvalet and Davoine 2018, https://arxiv.org/abs/1802.01483. w0 are the source weights. It takes
    the place of weight decay, which would draw the same weights to zero. The gradient α(w − w0) goes
    through the optimizer, so under Adam and AdamW it is adaptive: divided by the running gradient size.

    Args:
        alpha: α.
        beta: β; the head is new and has no source, so it is drawn to zero.
    """

    watches = False
    sees_weights_alone = True

    def __init__(self, alpha: float = 0.1, beta: float = 0.01) -> None:
        self.alpha = alpha
        self.beta = beta
        self.parameters: list[nn.Parameter] = []
        self.sources: list[Tensor] = []
        self.head: list[nn.Parameter] = []

    def prepare(self, backbone: Backbone, head: nn.Module) -> None:  # noqa: D102
        self.parameters = list(backbone.parameters())
        # Clones: the tensors themselves would move along, and the distance would always be 0.
        self.sources = [parameter.detach().clone() for parameter in self.parameters]
        self.head = list(head.parameters())

    def term(self, given: Input, boundaries: list[Tensor], target: Tensor) -> Tensor:  # noqa: D102
        # The parameters have moved to the training device since; the copies follow once.
        self.sources = [w0.to(w) for w, w0 in zip(self.parameters, self.sources, strict=True)]
        pairs = zip(self.parameters, self.sources, strict=True)
        away = sum(
            ((w - w0).square().sum() for w, w0 in pairs if w.requires_grad),
            target.new_zeros((), dtype=torch.float32),
        )
        size = sum(
            (w.square().sum() for w in self.head if w.requires_grad),
            target.new_zeros((), dtype=torch.float32),
        )
        return 0.5 * self.alpha * away + 0.5 * self.beta * size
