"""Parameter groups: which learning rate and weight decay each parameter gets, from the first step on."""

from collections.abc import Iterable, Iterator
from typing import Any, TypedDict

from torch import nn

from graft.backbones.depth import depths
from graft.freezing.parts import kind_of

# The parameters that weight decay shrinks, and the others.
Decayed = tuple[list[nn.Parameter], list[nn.Parameter]]


class ParameterGroup(TypedDict):
    """What an optimizer is told of some parameters."""

    name: str
    params: list[nn.Parameter]
    lr: float
    weight_decay: float


def parameter_groups(
    backbone: nn.Module,
    head: nn.Module,
    *,
    lr: float,
    head_lr: float | str | None,
    weight_decay: float,
    layer_decay: float = 1.0,
    source_head: nn.Module | None = None,
    adaptation: nn.Module | None = None,
) -> list[ParameterGroup]:
    """Named groups that hold every parameter exactly once, for any `torch.optim` optimizer.

    Biases, normalisation layers and low-rank adapters get no weight decay: they are few, and shrinking
    them moves the statistics that the frozen layers were trained for. A parameter that is frozen has no
    gradient, so the optimizer passes it over and keeps no state for it.

    Args:
        backbone: with `stages` and, if it has them, `blocks` where `layer_decay` is not 1.
        head: on top of it.
        lr: of the backbone; where rates decay, of what is on the head's level of `depths`.
        head_lr: of the head; a word such as `10x` is that many times `lr`; None: `lr`.
        weight_decay: of what is decayed.
        layer_decay: each block's rate is this share of the rate of the block above it: level i of `depths`,
            the head's being L, learns at lr · layer_decay^(L−i), as in timm (Clark and others 2020,
            https://arxiv.org/abs/2003.10555; Bao and others 2022, https://arxiv.org/abs/2106.08254).
        source_head: the source's head, where a regulariser trains it on; trained before, as the backbone
            was, it learns at `lr`.
        adaptation: what a method of adaptation trains beside, new as the head is, and at its rate.

    Returns:
        The groups that are not empty.
    """
    rated = [("backbone", lr, _by_decay(backbone))]
    if layer_decay != 1.0:
        rated = list(_by_depth(backbone, lr, layer_decay))
    rated.append(("head", head_rate(lr, head_lr), _by_decay(head)))
    if source_head is not None:
        rated.append(("source_head", lr, _by_decay(source_head)))
    if adaptation is not None:
        rated.append(("adaptation", head_rate(lr, head_lr), _by_decay(adaptation)))
    groups: list[ParameterGroup] = []
    for part, rate, (decayed, plain) in rated:
        groups.append({"name": part, "params": decayed, "lr": rate, "weight_decay": weight_decay})
        groups.append({"name": f"{part}_no_decay", "params": plain, "lr": rate, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]


def _by_depth(backbone: Any, lr: float, layer_decay: float) -> Iterator[tuple[str, float, Decayed]]:
    """A name, rate and parameters for each level of each stage."""
    levels, highest = depths(backbone.stages, getattr(backbone, "blocks", ()))
    for name, stage in backbone.stages.items():
        decayed, plain = _by_decay(stage)
        in_order = sorted({levels[id(p)] for p in (*decayed, *plain)})
        for number, level in enumerate(in_order, start=1):
            part = f"backbone.{name}" if len(in_order) == 1 else f"backbone.{name}.{number}"
            of_level = [[p for p in some if levels[id(p)] == level] for some in (decayed, plain)]
            yield part, lr * layer_decay ** (highest - level), (of_level[0], of_level[1])


def head_rate(lr: float, head_lr: float | str | None) -> float:
    """The head's learning rate from what `optimizer.head_lr` says: a number, `10x`, or None for `lr`."""
    if head_lr is None:
        return lr
    return lr * float(head_lr[:-1]) if isinstance(head_lr, str) else head_lr


def weight_penalty(groups: Iterable[ParameterGroup]) -> float:
    """λR(W, b) of the objective: Σ ½·weight_decay·‖w‖² over what trains now.

    Its gradient is what SGD's `weight_decay` adds to the loss's. AdamW applies the same shrinkage apart
    from the gradient (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101), so there the number
    tells the size of the penalty and is not part of what the gradient descends on.
    """
    penalty: float = sum(
        0.5 * group["weight_decay"] * float(parameter.detach().float().square().sum())
        for group in groups
        if group["weight_decay"]
        for parameter in group["params"]
        if parameter.requires_grad
    )
    return penalty


def _by_decay(module: nn.Module) -> Decayed:
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    seen: set[int] = set()
    for child in module.modules():
        for name, parameter in child.named_parameters(recurse=False):
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            (decayed if kind_of(child, name) == "weight" else plain).append(parameter)
    return decayed, plain
