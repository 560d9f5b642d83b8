"""Run folders as `graft train` leaves them, made without training."""

import copy
import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from graft.composition.composing import compose
from graft.runs.files import write_csv, write_json, write_yaml

# Labels of twelve test images, four a class.
LABELS = [name for name in ("ant", "bee", "cat") for _ in range(4)]


def answers(wrong: Mapping[int, str]) -> list[dict[str, str]]:
    """`predictions.csv` of a run that has all right but for `wrong`: image to what it said."""
    rows = [
        {"path": f"{place:02d}.png", "predicted": wrong.get(place, label), "label": label}
        for place, label in enumerate(LABELS)
    ]
    return [row | {f"p_{name}": "0.3" for name in ("ant", "bee", "cat")} for row in rows]


@functools.cache
def composed(*words: str) -> Mapping[str, Any]:
    """The configuration of some words, for readers alone: a few sets of words make hundreds of runs."""
    config, _ = compose("train", words)
    return {key: value for key, value in config.items() if key not in ("resume", "trust")}


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Make `tmp_path/<name>`: the run of some words; `changed` are keys that are set after composing."""

    def make(
        name: str,
        words: list[str],
        metrics: Mapping[str, Any] | None = None,
        wrong: Mapping[int, str] | None = None,
        curve: list[float] | None = None,
        changed: Mapping[str, Any] | None = None,
        **status: Any,
    ) -> Path:
        path = tmp_path / name
        config = copy.deepcopy(composed(*words))
        for key, value in (changed or {}).items():
            part, _, leaf = key.rpartition(".")
            config[part][leaf] = value
        write_yaml(path / "config.yaml", config)
        write_yaml(path / "overrides.yaml", words)
        began = {"status": "finished", "started": "2026-11-23T10:00:00+00:00", "pid": 1, "host": "here"}
        write_json(path / "status.json", {**began, **status})
        if metrics is not None:
            costs = {"trainable_parameters": 850, "seconds": 2.0}
            (path / "metrics.json").write_text(json.dumps({**metrics, **costs}))
        if wrong is not None:
            write_csv(path / "predictions.csv", answers(wrong))
        if curve is not None:
            write_csv(path / "metrics.csv", [{"epoch": e, "val/accuracy": v} for e, v in enumerate(curve)])
        return path

    return make


@pytest.fixture
def sweep(make_run: Callable[..., Path], tmp_path: Path) -> Path:
    """Frozen and full over three seeds, full better on validation and worse on the test; one failed."""
    for seed, (frozen, full) in enumerate([(0.7, 0.6), (0.72, 0.65), (0.8, 0.67)]):
        metrics = {
            "val/accuracy": 0.8 + 0.01 * seed,
            "val/loss": 0.5,
            "test/accuracy": frozen,
            "test/loss": 0.9,
        }
        # Of the head's own solver there would be other keys to tell the two apart by.
        words = ["data=digits", "optimizer=adamw", f"seed={seed}"]
        make_run(f"sweep/a{seed}", [*words, "freeze=frozen"], metrics, {0: "bee"}, [0.5, 0.8])
        better = {"val/accuracy": 0.9, "val/loss": 0.6, "test/accuracy": full, "test/loss": 0.8}
        make_run(
            f"sweep/b{seed}", [*words, "freeze=full"], better, {0: "bee", 1: "cat", 4: "ant"}, [0.6, 0.9]
        )
    lr = ["data=digits", "optimizer=adamw", "freeze=full", "optimizer.lr=0.5", "seed=0"]
    make_run("sweep/c0", lr, status="failed", reason="the loss became nan")
    return tmp_path / "sweep"
