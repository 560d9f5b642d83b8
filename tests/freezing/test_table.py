"""The table says what trains, from when on, at which rate."""

from torch import nn

from graft.freezing import BiasOnly, FreezePlan, FreezeUnfreeze, Full, Gradual, LastK, LpFt
from graft.freezing.table import freeze_table, printed
from graft.optim import parameter_groups


def table(strategy, epochs=10, layer_decay=1.0):
    backbone = nn.Module()
    backbone.stages = nn.ModuleDict(
        {
            "stem": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
            "pool": nn.MaxPool2d(2),
            "top": nn.Linear(4, 6),
        }
    )
    head = nn.Linear(6, 2)
    rates = {"lr": 0.1, "head_lr": 0.5, "weight_decay": 0.01, "layer_decay": layer_decay}
    plan = FreezePlan(strategy, backbone.stages, epochs)
    rows = freeze_table(plan, backbone.stages, head, parameter_groups(backbone, head, **rates))
    assert printed(rows).row_count == 4
    return {row["stage"]: row for row in rows}


def test_what_trains_from_the_start_and_what_never_does():
    rows = table(LastK(1))
    assert rows["top"] == {
        "stage": "top",
        "parameters": 30,
        "trainable": 30,
        "from_epoch": 1,
        "lr": 0.1,
        "weight_decay": 0.01,
        "norm": "",
    }
    assert rows["stem"] == {
        "stage": "stem",
        "parameters": 120,
        "trainable": 0,
        "from_epoch": "",
        "lr": "",
        "weight_decay": "",
        "norm": "frozen",
    }
    assert (rows["head"]["trainable"], rows["head"]["lr"]) == (14, 0.5)


def test_what_joins_later():
    rows = table(FreezeUnfreeze(3, norm="affine"), layer_decay=0.5)
    assert (rows["stem"]["from_epoch"], rows["stem"]["norm"]) == (4, "frozen → affine")
    assert (rows["stem"]["lr"], rows["top"]["lr"]) == (0.025, 0.1)
    assert [table(Gradual(4))[name]["from_epoch"] for name in ("stem", "top", "head")] == ["", 5, 1]


def test_rates_by_phase():
    assert table(LpFt(3, head_lr_factor=0.1))["head"]["lr"] == "0.5 → 0.05"
    assert table(LpFt(3, head_lr_factor=1.0))["head"]["lr"] == 0.5


def test_a_part_of_a_stage():
    rows = table(BiasOnly())
    assert (rows["stem"]["trainable"], rows["stem"]["weight_decay"]) == (8, 0.0)
    assert rows["stem"]["norm"] == "affine"


def test_the_range_of_a_stages_rates():
    backbone = nn.Module()
    backbone.blocks = (nn.Linear,)
    backbone.stages = nn.ModuleDict(
        {"a": nn.Linear(2, 2), "b": nn.Sequential(*[nn.Linear(2, 2) for _ in range(3)])}
    )
    head = nn.Linear(2, 2)
    groups = parameter_groups(backbone, head, lr=1e-3, head_lr=0.1, weight_decay=0.0, layer_decay=0.75)
    rows = freeze_table(FreezePlan(Full(), backbone.stages, 3), backbone.stages, head, groups)
    assert [row["lr"] for row in rows] == [1e-3 * 0.75**4, "0.000422 to 0.00075", 0.1]
    assert printed(rows).row_count == 3
