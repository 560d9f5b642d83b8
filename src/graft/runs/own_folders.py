"""Telling the folders that Graft has written from anybody else's. Imports no torch."""

import os
import re
from contextlib import suppress

from graft.runs.bundles import DESCRIPTION, WEIGHTS

# Each folder of a run, a bundle, a sweep or a command holds all files of one of these lines.
_MARKS = (
    ("status.json", "config.yaml"),
    ("status.json", "environment.json"),
    (DESCRIPTION, WEIGHTS),
    ("config.yaml", "crossval.csv"),
    ("metrics.json", "predictions.csv"),
    ("summary.csv", "summary.md"),
    ("inspect.json", "inspect.md"),
    ("check.json", "model.json"),
    ("rank.csv", "rank.md"),
    ("compare.csv", "compare.md"),
    ("latency.csv", "latency.md"),
    ("features.csv", "features.safetensors"),
)
# Below `outputs` is a folder for each command, and in each of them a folder for each day.
_OUTPUTS = "outputs"
_COMMANDS = (
    *("train", "sweeps", "crossval", "evaluate", "predict", "inspect", "compare", "extract", "rank"),
    *("soup", "export", "latency"),
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def own_marks(folder: str) -> str:
    """What shows that Graft wrote a folder, or that it is the `outputs` that holds them all; else nothing."""
    try:
        names = set(os.listdir(folder))  # noqa: PTH208
    except OSError:
        # The code that reads the folder reports it.
        return ""
    for marks in _MARKS:
        if names.issuperset(marks):
            return " and ".join(marks)
    if os.path.basename(os.path.realpath(folder)) != _OUTPUTS:  # noqa: PTH119
        return ""
    commands = sorted(names.intersection(_COMMANDS))
    return next((name for name in commands if _has_days(os.path.join(folder, name))), "")  # noqa: PTH118


def _has_days(folder: str) -> bool:
    with suppress(OSError):
        return any(_DAY.fullmatch(name) for name in os.listdir(folder))  # noqa: PTH208
    return False
