"""Parameter groups: which learning rate and weight decay each parameter gets, from the first step on."""

from typing import Any

from torch import nn

from graft.freezing.apply import NORMS


def parameter_groups(
    backbone: nn.Module, head: nn.Module, *, lr: float, head_lr: float | None, weight_decay: float
) -> list[dict[str, Any]]:
    """Named groups that hold every parameter exactly once, for any `torch.optim` optimizer.

    The head's rate is `head_lr`, or `lr` where that is None. Biases and normalisation layers get no weight
    decay: they are few, and shrinking them moves the statistics that the frozen layers were trained for.
    A parameter that is frozen has no gradient, so the optimizer passes it over and keeps no state for it.

    Returns:
        Groups with `name`, `params`, `lr` and `weight_decay`; empty ones are left out.
    """
    groups = []
    for part, module, rate in (
        ("backbone", backbone, lr),
        ("head", head, lr if head_lr is None else head_lr),
    ):
        decayed, plain = _by_decay(module)
        groups.append({"name": part, "params": decayed, "lr": rate, "weight_decay": weight_decay})
        groups.append({"name": f"{part}_no_decay", "params": plain, "lr": rate, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]


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
            (plain if name == "bias" or isinstance(child, NORMS) else decayed).append(parameter)
    return decayed, plain
