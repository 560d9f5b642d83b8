"""Which keys make a run what it is, and which say how it is computed, kept and shown. Imports no torch."""

from collections.abc import Iterable, Mapping
from typing import Any

from graft.configuration.schema import flatten

# How a run is started and computed: what it comes to is the same but for rounding. So these may change in a
# run that goes on, and neither make a job of a sweep another one nor tell runs apart.
HOW = (
    "resume",
    "trust",
    "test",
    "threads",
    "data.num_workers",
    "cache.dir",
    "cache.max_bytes",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "callbacks.progress.refresh_rate",
)
# What may change in a run that goes on. A later end makes another run of it, where the schedule allows that.
FREE = (*HOW, "trainer.max_epochs")
# Where a run's images lie may change too: whether they are the same is seen by their content.
MOVABLE = ("data.root", "data.file")
# What is no part of a run's fingerprint. Which sweep a job is of, and what was said of it, changes no job.
LEFT_OUT = (*HOW, "sweep", "notes")
# What tells no runs apart. Beside `HOW` it is what a run leaves, which is settled when it begins.
TECHNICAL = (
    *LEFT_OUT,
    "name",
    "logger",
    "trainer.enable_model_summary",
    "callbacks.progress",
    "callbacks.last",
    "callbacks.learning_rate",
)


def without(config: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """A configuration, nested or dotted, as dotted keys; `keys` and what is below them are left out."""
    heads = tuple(keys)
    below = tuple(f"{key}." for key in heads)
    flat = flatten(config)
    return {key: value for key, value in flat.items() if key not in heads and not key.startswith(below)}
