"""DELTA: the feature maps stay near those of the source backbone, the weights may go where they like."""

import copy

import torch
from torch import Tensor, nn

from graft.backbones import Backbone


class Delta:
    """½λ Σ_s mean((f_s − f⁰_s)²) over the outputs f_s of the stages, f⁰_s being the source backbone's.

    After Li et al. 2019, https://arxiv.org/abs/1901.09229, with every channel weighing the same instead of
    by the paper's attention, and with a mean where the paper sums, so that λ does not depend on the size of
    batch, image and stage. The source runs in evaluation mode on the same augmented batch. A stage whose
    BatchNorm normalises by the batch differs from it even at the source weights.

    Args:
        weight: λ.
        last: how many stages count, from the end; None counts all. Frozen ones never count.
    """

    watches = True

    def __init__(self, weight: float = 1.0, last: int | None = None) -> None:
        self.weight = weight
        self.last = last
        self.source: Backbone | None = None

    def prepare(self, backbone: Backbone, head: nn.Module) -> None:  # noqa: D102
        self.source = copy.deepcopy(backbone).eval().requires_grad_(False)

    def term(self, images: Tensor, boundaries: list[Tensor], target: Tensor) -> Tensor:  # noqa: D102
        assert self.source is not None
        first = 0 if self.last is None else max(0, len(boundaries) - self.last)
        counted = [i for i in range(first, len(boundaries)) if boundaries[i].requires_grad]
        total = images.new_zeros(())
        if not counted:
            return total
        # Held outside the module, so that no checkpoint has it; it follows to the training device here.
        self.source.to(images.device, images.dtype)
        with torch.no_grad():
            expected = outputs(self.source, images)
        for i in counted:
            total = total + (boundaries[i].float() - expected[i].float()).square().mean()
        return 0.5 * self.weight * total


def outputs(backbone: Backbone, images: Tensor) -> list[Tensor]:
    """What comes out of each stage for `images`, stem first; the last is the features `(N, D)`."""
    found = []
    for index in range(len(backbone)):
        images = backbone(images, start=index, stop=index + 1)
        found.append(images)
    return found
