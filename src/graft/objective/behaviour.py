"""DELTA: the feature maps stay near those of the source backbone, the weights may go where they like."""

import copy

import torch
from torch import Tensor, nn

from graft.backbones import Backbone
from graft.backbones.inputs import Input


class Delta(nn.Module):
    """½λ Σ_s mean((f_s − f⁰_s)²) / q_s over the outputs f_s of the stages, f⁰_s being the source backbone's.

    q_s is the mean of (f⁰_s)² over the training images, measured once before anything trains. So λ weighs
    changes as shares of what a stage gives, and is one strength for every backbone, stage and size of image.

    After Li et al. 2019, https://arxiv.org/abs/1901.09229, with every channel weighing the same instead of by
    the paper's attention. The paper sums over the B images of a batch and the C channels of a stage: its α is
    λ = α · B · C · q_s here. For α = 0.01, B = 48 and ResNet-50's stages of 256 to 2,048 channels that is
    λ = 123 q_s to 983 q_s.

    The source runs in evaluation mode on the same augmented batch. A stage whose BatchNorm normalises by the
    batch differs from it even at the source weights.

    Args:
        weight: λ.
        last: how many stages count, from the end; None counts all. Frozen ones never count.

    Attributes:
        squares: q_s of each stage; ones until they are known.
    """

    watches = True
    squares: Tensor

    def __init__(self, weight: float = 1.0, last: int | None = None) -> None:
        super().__init__()
        self.weight = weight
        self.last = last
        # In a list, so that it is no submodule and no checkpoint has it.
        self._source: list[Backbone] = []
        self.register_buffer("squares", torch.ones(0))

    @property
    def source(self) -> Backbone:
        """The source backbone, which stands still."""
        return self._source[0]

    def prepare(self, backbone: Backbone, head: nn.Module) -> None:  # noqa: D102
        self._source = [copy.deepcopy(backbone).eval().requires_grad_(False)]
        self.squares = torch.ones(len(backbone))

    def term(self, given: Input, boundaries: list[Tensor], target: Tensor) -> Tensor:  # noqa: D102
        first = 0 if self.last is None else max(0, len(boundaries) - self.last)
        counted = [i for i in range(first, len(boundaries)) if boundaries[i].requires_grad]
        total = target.new_zeros((), dtype=torch.float32)
        if not counted:
            return total
        # It follows to the training device here.
        self.source.to(boundaries[0].device, boundaries[0].dtype)
        with torch.no_grad():
            expected = outputs(self.source, given)
        for i in counted:
            away = (boundaries[i].float() - expected[i].float()).square().mean()
            total = total + away / self.squares[i].float()
        return 0.5 * self.weight * total

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        # Of a run that began when the differences were no shares yet, and that goes on as it was.
        state_dict.setdefault(f"{prefix}squares", torch.ones_like(self.squares))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def outputs(backbone: Backbone, given: Input) -> list[Tensor]:
    """What comes out of each stage for an input, stem first; the last is the features `(N, D)`."""
    maps: list[Tensor] = []
    for index in range(len(backbone)):
        maps.append(backbone(maps[-1] if maps else given, start=index, stop=index + 1))
    return maps
