"""Batch spectral shrinkage: directions that the features hardly use are given up."""

import torch
from torch import Tensor, nn

from graft.backbones import Backbone
from graft.backbones.inputs import Input


class BatchSpectralShrinkage:
    """η Σ of the k smallest squared singular values of a batch's feature matrix `(B, D)`.

    Chen, Wang, Fu, Long and Wang 2019, Catastrophic forgetting meets negative transfer: batch spectral
    shrinkage for safe transfer learning, NeurIPS 32. A batch of fewer than k images, or fewer than k
    features, gives all the singular values it has. It is 0 where the backbone is frozen, since no step could
    change it.

    Args:
        weight: η.
        k: how many singular values shrink.
    """

    watches = True

    def __init__(self, weight: float = 1e-3, k: int = 1) -> None:
        self.weight = weight
        self.k = k

    def prepare(self, backbone: Backbone, head: nn.Module) -> None:
        """Nothing to prepare: it looks at each batch alone."""

    def term(self, given: Input, boundaries: list[Tensor], target: Tensor) -> Tensor:  # noqa: D102
        features = boundaries[-1]
        if not features.requires_grad:
            return target.new_zeros((), dtype=torch.float32)
        # Largest first; there is no decomposition in half precision.
        with torch.autocast(features.device.type, enabled=False):
            values: Tensor = torch.linalg.svdvals(
                features.to(torch.promote_types(features.dtype, torch.float32))
            )
        smallest = values[-self.k :]
        return self.weight * smallest.square().sum()
