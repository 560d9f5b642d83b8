"""Parameter groups: which learning rate and weight decay each parameter gets, from the first step on."""

from typing import Any

from torch import nn

from graft.freezing.parts import kind_of


def parameter_groups(
    backbone: nn.Module,
    head: nn.Module,
    *,
    lr: float,
    head_lr: float | str | None,
    weight_decay: float,
    layer_decay: float = 1.0,
    source_head: nn.Module | None = None,
) -> list[dict[str, Any]]:
    """Named groups that hold every parameter exactly once, for any `torch.optim` optimizer.

    Biases, normalisation layers and low-rank adapters get no weight decay: they are few, and shrinking
    them moves the statistics that the frozen layers were trained for. A parameter that is frozen has no
    gradient, so the optimizer passes it over and keeps no state for it.

    Args:
        backbone: with `stages` where `layer_decay` is not 1.
        head: on top of it.
        lr: of the backbone's last stage.
        head_lr: of the head; a word such as `10x` is that many times `lr`; None: `lr`.
        weight_decay: of what is decayed.
        layer_decay: each stage's rate is this share of the rate of the stage above it, so that stage i of
            S learns at lr · layer_decay^(S-1-i) (Clark and others 2020, https://arxiv.org/abs/2003.10555).
        source_head: the source's head, where a regulariser trains it on; trained before, as the backbone
            was, it learns at `lr`.

    Returns:
        Groups with `name`, `params`, `lr` and `weight_decay`; empty ones are left out.
    """
    stages: Any = backbone.stages if layer_decay != 1.0 else None
    rated = [("backbone", backbone, lr)]
    if stages is not None:
        rated = [
            (f"backbone.{name}", stage, lr * layer_decay ** (len(stages) - 1 - index))
            for index, (name, stage) in enumerate(stages.items())
        ]
    rated.append(("head", head, head_rate(lr, head_lr)))
    if source_head is not None:
        rated.append(("source_head", source_head, lr))
    groups = []
    for part, module, rate in rated:
        decayed, plain = _by_decay(module)
        groups.append({"name": part, "params": decayed, "lr": rate, "weight_decay": weight_decay})
        groups.append({"name": f"{part}_no_decay", "params": plain, "lr": rate, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]


def head_rate(lr: float, head_lr: float | str | None) -> float:
    """The head's learning rate from what `optimizer.head_lr` says: a number, `10x`, or None for `lr`."""
    if head_lr is None:
        return lr
    return lr * float(head_lr[:-1]) if isinstance(head_lr, str) else head_lr


def weight_penalty(groups: list[dict[str, Any]]) -> float:
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


def _by_decay(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
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
