"""What a freeze plan says, as a table: printed once, and kept as `freeze.csv`."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from rich.table import Table
from torch import nn

from graft.freezing.parts import Located, parts
from graft.freezing.plan import FreezePlan

# Keyed by whether the affine parameters train and whether the statistics move.
MODES = {
    (False, False): "frozen",
    (True, False): "affine",
    (False, True): "statistics",
    (True, True): "train",
}


class FreezeRow(TypedDict):
    """A stage, or the head.

    Attributes:
        trainable: how many of its parameters train in some epoch.
        from_epoch: the first such epoch, counted from 1, or empty.
        lr: from the lowest to the highest where a stage's blocks differ, and by phases where those differ.
        weight_decay: of what trains; of norm layers and biases it is 0.
        norm: the modes of its norm layers in the order of the phases.
    """

    stage: str
    parameters: int
    trainable: int
    from_epoch: int | str
    lr: float | str
    weight_decay: float | str
    norm: str


def freeze_table(
    plan: FreezePlan, stages: nn.ModuleDict, head: nn.Module, groups: Sequence[Mapping[str, Any]]
) -> list[FreezeRow]:
    """One row a stage, and one for the head; `groups` are the optimizer's."""
    rates = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    located = parts(stages)
    rows = []
    for name in stages:
        in_stage = [entry for entry in located if entry.part.stage_name == name]
        first = {id(entry.parameter): plan.first_epoch(entry.part) for entry in in_stage}
        trained = [entry.parameter for entry in in_stage if first[id(entry.parameter)] is not None]
        begins = [epoch for epoch in first.values() if epoch is not None]
        row = _row(name, [entry.parameter for entry in in_stage], trained, rates, min(begins, default=0))
        row["norm"] = " → ".join(_modes(plan, in_stage))
        rows.append(row)
    of_head = list(head.parameters())
    last = _row("head", of_head, of_head, rates)
    factors = list(dict.fromkeys(plan.head_rate(epoch) for epoch in plan.phases))
    if len(factors) > 1 and isinstance(rate := last["lr"], float):
        last["lr"] = " → ".join(f"{rate * factor:g}" for factor in factors)
    return [*rows, last]


def _row(
    name: str,
    parameters: Sequence[nn.Parameter],
    trained: Sequence[nn.Parameter],
    rates: Mapping[int, tuple[float, float]],
    start: int = 0,
) -> FreezeRow:
    rates_of = [rates[id(parameter)] for parameter in trained if id(parameter) in rates]
    low, high = min((lr for lr, _ in rates_of), default=""), max((lr for lr, _ in rates_of), default="")
    return {
        "stage": name,
        "parameters": sum(parameter.numel() for parameter in parameters),
        "trainable": sum(parameter.numel() for parameter in trained),
        "from_epoch": start + 1 if trained else "",
        "lr": high if low == high else f"{low:.3g} to {high:.3g}",
        "weight_decay": max((decay for _, decay in rates_of), default=""),
        "norm": "",
    }


def _modes(plan: FreezePlan, in_stage: Sequence[Located]) -> list[str]:
    """The modes of a stage's norm layers, one after the other as the phases bring them."""
    modes: list[str] = []
    for epoch in plan.phases:
        treatments = [plan.treatment(entry.part, epoch) for entry in in_stage if entry.part.kind == "norm"]
        if not treatments:
            continue
        affine = any(treatment.trains for treatment in treatments)
        mode = MODES[affine, all(treatment.moves_statistics for treatment in treatments)]
        if not modes or modes[-1] != mode:
            modes.append(mode)
    return modes


def printed(rows: Sequence[FreezeRow]) -> Table:
    """The rows for the terminal."""
    table = Table(box=None, title=None)
    heads = ("stage", "parameters", "trainable", "from epoch", "lr", "weight decay", "norm layers")
    for index, title in enumerate(heads):
        table.add_column(title, justify="left" if index in (0, 6) else "right", no_wrap=title == "lr")
    for row in rows:
        cells = [f"{value:,}" if isinstance(value, int) else f"{value}" for value in row.values()]
        table.add_row(*(cell or "–" for cell in cells))
    return table
