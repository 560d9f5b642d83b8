"""StochNorm: BatchNorm that normalises some channels by the running statistics, drawn anew each batch."""

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from graft.backbones import Backbone
from graft.backbones.inputs import Input
from graft.errors import GraftError


class StochNorm:
    """Turns the backbone's BatchNorm layers into `StochasticBatchNorm2d`; adds no term to the loss.

    Kou, You, Long and Wang 2020, Stochastic normalization, NeurIPS 33.

    Args:
        p: probability that a channel is normalised by the batch; 1 is BatchNorm.
    """

    watches = False
    sees_weights_alone = True

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def prepare(self, backbone: Backbone, head: nn.Module) -> None:
        """Change the layers' class in place: parameters, buffers and their names stay the same objects.

        Raises:
            GraftError: there is no such layer.
        """
        layers = [layer for layer in backbone.modules() if type(layer) is nn.BatchNorm2d]
        layers = [layer for layer in layers if layer.track_running_stats]
        if not layers:
            raise GraftError("regularizer=stochnorm needs a backbone with BatchNorm layers; this has none")
        for layer in layers:
            layer.__class__ = StochasticBatchNorm2d
            layer.p = self.p  # type: ignore[assignment]

    def term(self, given: Input, boundaries: list[Tensor], target: Tensor) -> None:
        """Nothing: the layers do it all."""


class StochasticBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d that in training normalises each channel by the batch with probability `p`.

    The other channels are normalised by the running statistics as they were before this batch, which then
    moves them as always. In evaluation mode it is BatchNorm2d, and its state dict is always.
    """

    p: float

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, H, W)` to the same shape."""
        if not self.training:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        # Copies, because the backward pass needs the values that the next line changes.
        mean, var = self.running_mean.clone(), self.running_var.clone()
        by_batch = super().forward(input)
        by_running = batch_norm(input, mean, var, self.weight, self.bias, training=False, eps=self.eps)
        # From the global generator, whose state a checkpoint can keep.
        chosen = torch.rand(self.num_features, device=input.device) < self.p
        return torch.where(chosen[:, None, None], by_batch, by_running)
