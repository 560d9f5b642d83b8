"""What comes out of each stage of a backbone: found by name, and brought to one value a channel."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from graft.backbones.encoder_stages import Convolutions, Frames, Tokens
from graft.backbones.inputs import Input
from graft.errors import GraftError, did_you_mean

# What is made of a stage's maps or tokens: nothing, or the mean over their places.
POOLINGS = ("none", "mean")


def stop_at(backbone: nn.Module, stage: str | None, label: str) -> int:
    """How many stages run so that the one of this name is the last of them; None: all.

    Raises:
        GraftError: there is no such stage, or the stages cannot run apart; `label` says whose.
    """
    # A backbone of the user's own need not have stages.
    names = list(getattr(backbone, "stages", {}))
    if stage is None:
        return len(names)
    if stage not in names:
        has = f"it has {', '.join(names)}" if names else "it has none"
        raise GraftError(f"stage={stage} is no stage of {label}; {has}{did_you_mean(stage, names)}")
    if stage != names[-1] and not getattr(backbone, "splits", True):
        raise GraftError(f"stage={stage}: {label} runs as one block; only {names[-1]} gives something")
    return names.index(stage) + 1


def check_pool(pool: str) -> None:
    """Refuse what is no way to pool.

    Raises:
        GraftError: says which there are.
    """
    if pool not in POOLINGS:
        raise GraftError(f"pool={pool} is none of {', '.join(POOLINGS)}{did_you_mean(pool, POOLINGS)}")


def mean_over_places(tensor: Tensor, stage: nn.Module) -> Tensor:
    """What a stage gives, `(N, …)`, to the mean over its places, `(N, C)` float32.

    Maps `(N, C, H, W)`, or `(N, H, W, C)` as Swin has them, lose height and width, tokens `(N, L, C)` their
    number; what an encoder counts as padding is left out. `(N, C)` stays as it is.
    """
    tensor = tensor.float()
    if tensor.ndim < 3:
        return tensor
    if _is_masked(stage):
        tokens, mask = tensor[..., :-1], tensor[..., -1:]
        return (tokens * mask).sum(1) / mask.sum(1).clamp(min=1)
    channel = _channel_axis(tensor, stage)
    return tensor.mean([axis for axis in range(1, tensor.ndim) if axis != channel])


def each_mean(stages: Iterable[nn.Module], given: Input) -> list[Tensor]:
    """The means over places of what each stage gives, `(N, C)` float32, of one pass through all of them."""
    means = []
    for stage in stages:
        given = stage(given)
        assert isinstance(given, Tensor)
        means.append(mean_over_places(given, stage))
    return means


def _is_masked(stage: nn.Module) -> bool:
    """Whether the last channel of what it gives says where there is something (`encoder_stages`)."""
    return isinstance(stage, Tokens | Convolutions | Frames) or bool(getattr(stage, "masked", False))


def _channel_axis(tensor: Tensor, stage: nn.Module) -> int:
    """Which axis of maps or tokens is that of channels.

    The last layer of a stage says how many channels there are. Where that does not decide it, maps have them
    in front and tokens at the end; where both axes have that many, layers that convolve want them in front.
    """
    width, first, last = _channels(stage), tensor.shape[1], tensor.shape[-1]
    at_end = tensor.ndim - 1
    if width == first == last:
        return 1 if any(isinstance(module, nn.Conv1d | nn.Conv2d) for module in stage.modules()) else at_end
    if width in (first, last):
        return 1 if width == first else at_end
    return 1 if tensor.ndim > 3 else at_end


def _channels(stage: nn.Module) -> int | None:
    """As many as the last layer with parameters has outputs; None: there is no such layer."""
    layers = [module for module in stage.modules() if not any(True for _ in module.children())]
    for layer in reversed(layers):
        if sizes := [len(tensor) for tensor in layer.parameters(recurse=False) if tensor.ndim]:
            return sizes[0]
    return None


def shape_after(backbone: nn.Module, blank: Input, stop: int) -> torch.Size:
    """The shape of what the first `stop` stages give for one sample, `blank` being a batch of one."""
    with torch.no_grad():
        given: Tensor = backbone(blank, stop=stop)
    return given.shape[1:]
