"""The frozen prefix made cheaper: bfloat16, NHWC, BatchNorm folded into the convolutions before it."""

import copy
from collections.abc import Iterable
from contextlib import suppress

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torch.fx.proxy import TraceError

from graft.backbones.inputs import Input, changed


class FastPrefix:
    """A copy of some stages, in their order, that computes two to three times as fast, less precisely.

    bfloat16 keeps 8 bits of a number's precision: results differ by about 1 % (relative norm).
    BatchNorm in evaluation mode is an affine map, so it is folded, in full precision, into the convolution
    before it where there is one and the stage can be traced.
    """

    def __init__(self, stages: Iterable[nn.Module]) -> None:
        # Copied together, for stages that cannot run apart hold the same modules.
        copies = copy.deepcopy(list(stages))
        for stage in copies:
            stage.float().eval().requires_grad_(False)
        # A list, not an `nn.ModuleList`, so that they are no submodules of anything.
        self.stages = [_fast(stage) for stage in copies]

    @torch.no_grad()
    def __call__(self, given: Input) -> Tensor:
        """Inputs of B samples, on the stages' device, to boundary tensors `(B, …)` in bfloat16."""
        given = changed(given, _fast_tensor)
        for stage in self.stages:
            given = stage(given)
        assert isinstance(given, Tensor)
        return given


def _fast_tensor(tensor: Tensor) -> Tensor:
    """Values, not indices, in bfloat16; images as NHWC."""
    if not tensor.is_floating_point():
        return tensor
    layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
    return tensor.to(torch.bfloat16).contiguous(memory_format=layout)


def _fast(stage: nn.Module) -> nn.Module:
    if any(isinstance(module, nn.BatchNorm2d) for module in stage.modules()):
        # Python code that depends on values cannot be traced, nor what runs modules of other stages.
        with suppress(TraceError, TypeError, ValueError, RuntimeError, AttributeError, NameError):
            stage = fuse(stage)
    return stage.to(torch.bfloat16).to(memory_format=torch.channels_last)
