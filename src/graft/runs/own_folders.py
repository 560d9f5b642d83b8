"""Telling the folders that Graft has written from anybody else's. Imports no torch."""

import os
import re
from contextlib import suppress

# Files of which the folders of runs, bundles, sweeps and of each command have all of one line.
_MARKS = (
    ("status.json", "config.yaml"),
    ("status.json", "environment.json"),
    ("model.yaml", "model.safetensors"),
    ("config.yaml", "crossval.csv"),
    ("metrics.json", "predictions.csv"),
    ("summary.csv", "summary.md"),
    ("inspect.json", "inspect.md"),
    ("rank.csv", "rank.md"),
    ("compare.csv", "compare.md"),
    ("features.csv", "features.safetensors"),
)
# What stands below `outputs`: a folder a command, and in each a folder a day.
_OUTPUTS = "outputs"
_COMMANDS = ("train", "sweeps", "crossval", "evaluate", "predict", "inspect", "compare", "extract", "rank")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def is_own(folder: str) -> bool:
    """Whether a folder is one that Graft wrote, or the `outputs` that holds them all."""
    try:
        names = set(os.listdir(folder))  # noqa: PTH208
    except OSError:
        # Whoever reads it says so.
        return False
    if any(names.issuperset(marks) for marks in _MARKS):
        return True
    if os.path.basename(os.path.realpath(folder)) != _OUTPUTS:  # noqa: PTH119
        return False
    return any(_has_days(os.path.join(folder, command)) for command in names.intersection(_COMMANDS))  # noqa: PTH118


def _has_days(folder: str) -> bool:
    with suppress(OSError):
        return any(_DAY.fullmatch(name) for name in os.listdir(folder))  # noqa: PTH208
    return False
