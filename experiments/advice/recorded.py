"""Reads recorded trainings: `tasks.csv`, `runs.csv` and `curves.csv` of a folder."""

import ast
import csv
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from graft.advice.prior import Facts
from graft.configuration.network_names import networks

# Endings that timm's names had when the trainings were recorded; today they are tags of weights.
ENDINGS = ("_384_in22ft1k", "_in21ft1k", "_22kft1k", "_in22k", "_dist", "_ns")
# Networks that were recorded at another size than the list's.
AT_384 = (384 / 224) ** 2


class Recorded(NamedTuple):
    """One recorded training.

    Attributes:
        name: of the run.
        settings: in the prior's words.
        accuracy: of validation, 0 to 1, by epoch.
        seconds: of each epoch.
    """

    name: str
    settings: dict[str, object]
    accuracy: tuple[float, ...]
    seconds: tuple[float, ...]


class Task(NamedTuple):
    """A task and its recorded trainings."""

    name: str
    facts: Facts
    runs: tuple[Recorded, ...]


def tasks_in(folder: Path) -> list[Task]:
    """The tasks of a folder that have trainings, in the order of `tasks.csv`."""
    curves: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
    for row in _rows(folder / "curves.csv"):
        curves[row["run"]].append((int(row["epoch"]), float(row["accuracy"]) / 100, float(row["seconds"])))
    runs: dict[str, list[Recorded]] = defaultdict(list)
    for row in _rows(folder / "runs.csv"):
        if row["run"] in curves:
            _, accuracy, seconds = zip(*sorted(curves[row["run"]]), strict=True)
            runs[row["task"]].append(Recorded(row["run"], settings_of(row), accuracy, seconds))
    return [
        Task(row["task"], Facts(*(int(float(row[key])) for key in Facts._fields)), tuple(runs[row["task"]]))
        for row in _rows(folder / "tasks.csv")
        if runs[row["task"]]
    ]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def settings_of(row: Mapping[str, str]) -> dict[str, object]:
    """A row of `runs.csv` in the prior's words; an empty or missing cell is left out."""
    given = {key: value for key, value in row.items() if value}
    settings: dict[str, object] = {}
    for ours, theirs in (
        *(("network", "model"), ("optimizer", "opt"), ("schedule", "sched")),
        ("augmentation", "data_augmentation"),
    ):
        if theirs in given:
            settings[ours] = given[theirs]
    for ours, theirs in (
        *(
            ("lr", "lr"),
            ("batch_size", "batch_size"),
            ("weight_decay", "weight_decay"),
            ("momentum", "momentum"),
        ),
        *(("frozen", "pct_to_freeze"), ("warmup_epochs", "warmup_epochs"), ("smoothing", "smoothing")),
        *(("dropout", "drop"), ("clip", "clip_grad"), ("l2_sp", "sp_reg"), ("delta", "delta_reg")),
        *(("bss", "bss_reg"), ("co_tuning", "cotuning_reg"), ("stochnorm", "stoch_norm"), ("amp", "amp")),
        ("warmup_lr", "warmup_lr"),
    ):
        if theirs in given:
            settings[ours] = float(given[theirs])
    if "layer_decay" in given:
        decay = float(given["layer_decay"])
        settings["layer_decay"] = decay if decay > 0 else 1.0
    # How often images are mixed counts; -1 and 0 stand for never.
    for key in ("mixup", "cutmix"):
        if key in given and "mixup_prob" in given:
            settings[key] = float(given["mixup_prob"]) * (float(given[key]) > 0)
    if given.get("opt_betas", "None") != "None":
        settings["beta1"], settings["beta2"] = map(float, ast.literal_eval(given["opt_betas"]))
    return settings | _network(str(settings.get("network")))


def _network(name: str) -> dict[str, object]:
    """Parameters and GMACs, by today's name of the network; empty where it is not listed."""
    base = name
    for ending in ENDINGS:
        base = base.removesuffix(ending)
    listed = networks("timm").get(base)
    if listed is None or not listed.parameters or not listed.gmacs:
        return {}
    larger = AT_384 if "_384" in name and listed.image_size == 224 else 1.0
    return {"parameters": listed.parameters, "gmacs": listed.gmacs * larger}
