"""Low-rank adapters (LoRA): small additions to the weights train instead of the weights."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from graft.errors import GraftError
from graft.freezing.parts import Part
from graft.freezing.strategies import Norm, Treatment, treat

# Which parameters get an adapter, by the module that owns them.
ADAPTED = {nn.Linear: ("weight",), nn.Conv2d: ("weight",), nn.MultiheadAttention: ("in_proj_weight",)}


class LowRank(nn.Module):
    """A weight W becomes W + (alpha / r) B A, with B = 0 at the start, so that nothing changes at first.

    LoRA (Hu and others 2021, https://arxiv.org/abs/2106.09685). A convolution's weight
    `(out, in/groups, k, k)` is taken as the matrix `(out, in/groups · k · k)`, so grouped ones need no
    rule of their own: each output channel's filter is what is added to.
    """

    kind = "lora"

    def __init__(self, weight: Tensor, r: int, alpha: float) -> None:
        super().__init__()
        rows, columns = weight.shape[0], weight[0].numel()
        self.a = nn.Parameter(torch.empty(r, columns, dtype=weight.dtype, device=weight.device))
        self.b = nn.Parameter(torch.zeros(rows, r, dtype=weight.dtype, device=weight.device))
        nn.init.kaiming_uniform_(self.a, a=5**0.5)
        self.scale = alpha / r

    def forward(self, weight: Tensor) -> Tensor:
        """W to W + (alpha / r) B A, in W's shape."""
        return weight + (self.b @ self.a).view_as(weight) * self.scale


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters of linear layers and convolutions train, and the head; all else stays.

    Layers whose adapter would not be smaller than their weight, such as small depthwise ones, get none.
    `merge` makes the adapters part of the weights.

    Args:
        r: rank.
        alpha: the adapters' scale, divided by r.
        norm: what norm layers do; `affine` trains them beside the adapters.
    """

    r: int = 8
    alpha: float = 16.0
    norm: Norm | None = None

    def prepare(self, stages: nn.ModuleDict) -> None:
        """Put the adapters in.

        Raises:
            GraftError: there is no layer that an adapter of this rank would make cheaper.
        """
        adapted = 0
        for module in list(stages.modules()):
            names = next((names for kind, names in ADAPTED.items() if isinstance(module, kind)), ())
            for name in names:
                weight = getattr(module, name)
                if weight is None or parametrize.is_parametrized(module, name):
                    continue
                if self.r * (weight.shape[0] + weight[0].numel()) < weight.numel():
                    parametrize.register_parametrization(module, name, LowRank(weight, self.r, self.alpha))
                    adapted += 1
        if not adapted:
            raise GraftError(f"freeze.r={self.r} is too large: no layer's adapter would be smaller than it")

    def treatment(self, part: Part, epoch: int) -> Treatment:  # noqa: D102
        trains = part.kind == "lora" or (part.kind == "norm" and self.norm is not None)
        return treat(part, trains, self.norm)


def merge(module: nn.Module) -> None:
    """Add every adapter in `module` to its weight, in place; the same outputs, no adapters left."""
    for owner in list(module.modules()):
        if not parametrize.is_parametrized(owner):
            continue
        for name in list(owner.parametrizations):  # type: ignore[arg-type]
            if any(isinstance(added, LowRank) for added in owner.parametrizations[name]):  # type: ignore[index]
                parametrize.remove_parametrizations(owner, name, leave_parametrized=True)
