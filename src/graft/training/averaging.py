"""Several answers to the same samples, averaged: those to an image's views."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from graft.evaluation.assessment import INTERVAL, Metrics
from graft.evaluation.intervals import paired_ends
from graft.training.testing import ModelOutputs


def averaged(tests: Sequence[ModelOutputs]) -> ModelOutputs:
    """One test, whose logits are the mean of several of the same samples in the same order.

    So probabilities are the geometric mean, normalised, and a temperature means what it meant before.
    """
    first = tests[0]
    logits = torch.stack([test.logits.double() for test in tests]).mean(0).float()
    tally = first.task.tally()
    tally.update(logits, first.labels)
    metrics = {f"test/{key}": value for key, value in tally.compute().items()}
    return first._replace(metrics=metrics, logits=logits)


def gained(plain: ModelOutputs, other: ModelOutputs, name: str) -> Metrics:
    """How much accuracy `other` gains over `plain`, under `name`, with its 95 % interval."""
    before, after = (test.logits.argmax(1).eq(test.labels).numpy() for test in (plain, other))
    value = float(after.mean() - before.mean())
    return {f"{name}/gain": value, f"{name}/gain{INTERVAL}": list(paired_ends(after, before))}


def told_gain(metrics: Mapping[str, Any], name: str, over: str) -> str:
    """The gain as a sentence."""
    value, (low, high) = (metrics[f"{name}/gain{end}"] for end in ("", INTERVAL))
    points = f"{100 * value:+.1f} points (95 % interval {100 * low:+.1f} to {100 * high:+.1f})"
    return f"{name}: {points} of accuracy beside {over}"
