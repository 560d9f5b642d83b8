"""`minutes` holds: an advice whose trainings take ever longer ends in time, and by its own plan.

All is real but that trainings set the clock forward instead of taking their time.
"""

import itertools
import re
import time
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from graft.advice import climbing, clock, speed, steps, trainings
from graft.advice.advice import Advice
from graft.backbones import Backbone
from graft.commands import advise
from graft.commands import train as train_command
from graft.composition.composing import compose
from graft.configuration.run_config import Node, RunConfig
from graft.data import SampleData
from graft.data.samples import Indices
from graft.processes import interruption, timing
from graft.processes.interruption import is_pending, raise_pending
from graft.ranking import costs
from graft.runs.files import read_csv, write_csv, write_json, write_yaml
from graft.runs.folder import RunFolder
from graft.sweeps.crossval import Train
from graft.training import TransferModule

MINUTES = 2.0
EPOCHS, BATCHES = 10, 10


class SetForward:
    """The time, and what it was set forward by, of all modules that ask for it."""

    by = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + SetForward.by

    def perf_counter(self) -> float:
        return time.perf_counter() + SetForward.by

    def perf_counter_ns(self) -> int:
        return time.perf_counter_ns() + int(1e9 * SetForward.by)


def asks_on_and_on(*arguments: object) -> None:
    """What would help, of so many images that the time is up before it is known."""
    check = arguments[-1]
    assert callable(check)
    for _ in range(1000):
        SetForward.by += 1
        check()


@pytest.fixture(autouse=True)
def _set_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "SECONDS", 0)
    monkeypatch.setattr(steps, "what_would_help", asks_on_and_on)
    for module in (advise, clock, climbing, interruption, steps, timing, trainings):
        monkeypatch.setattr(module, "time", SetForward())
    SetForward.by = 0.0


def training(seconds_an_epoch: float) -> Train:
    """What `graft train` does, but for the training, which may pause after each batch and gains a little.

    A head is solved in one epoch, the test takes half as long, and a fold thrice as long as is expected.
    """

    def train(config: RunConfig, path: Path, words: list[str]) -> RunFolder:
        folder = RunFolder(path)
        if words == ["test=true"]:
            SetForward.by += seconds_an_epoch / 2
            write_json(folder.metrics_file, {**folder.metrics, "test/accuracy": 0.7})
            return folder
        epochs = 1 if "-frozen" in str(path) else EPOCHS
        each = seconds_an_epoch * (3 if "fold" in path.name else 1)
        rows = [dict(row) for row in read_csv(folder.epochs)] if folder.epochs.is_file() else []
        folder.bundle.mkdir(parents=True, exist_ok=True)
        write_yaml(folder.config, config.recorded())
        write_json(folder.status_file, {"status": "interrupted"})
        for epoch in range(len(rows), epochs):
            for _ in range(BATCHES):
                SetForward.by += each / BATCHES
                raise_pending(is_pending())
            value = 0.7 + 0.02 * epoch if epochs > 1 else 0.65
            rows.append({"epoch": str(epoch), "val/accuracy": str(value), "val/loss": "1"})
            write_csv(folder.epochs, rows)
            if config.stop_after == epoch + 1 < epochs:
                raise interruption.Paused("stop_after")
        write_json(folder.status_file, {"status": "finished"})
        write_json(folder.metrics_file, {"val/accuracy": value, "test/accuracy": value})
        return folder

    return train


def answered(photos: Path, path: Path, train: Train) -> Advice:
    words = [
        "data=image_folder",
        f"data.root={photos}",
        "trainer=cpu",
        "data.batch_size=8",
        f"minutes={MINUTES:g}",
    ]
    # Of a cache of their own, where no other test has left these features.
    words += ["backbones=[simple_cnn]", "weights.simple_cnn=null", f"cache.dir={path.parent / 'cache'}"]
    words += [f"hydra.run.dir={path}"]
    config, _ = compose("advise", words)
    return Advice(advise.run(config, path, words, train))


@pytest.mark.parametrize("seconds_an_epoch", [0.3, 30.0])
def test_minutes_hold_within_a_tenth_and_each_step_ends_as_the_plan_says(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], seconds_an_epoch: float
) -> None:
    advice = answered(photos, tmp_path / "advice", training(seconds_an_epoch))
    said, taken = capsys.readouterr().out, advice.answer["time"]
    assert advice.answer["complete"]
    assert "test/accuracy" in advice.answer["test"]
    # The budget binds, and holds.
    assert 0.7 <= taken["spent"] / (60 * MINUTES) <= 1.1
    planned = [int(seconds) for seconds in re.findall(r": until (\d+) s at the latest", said)]
    ended = list(itertools.accumulate(taken["steps"].values()))
    assert len(planned) == 3
    # A batch is trained to its end, and to compose words takes a moment.
    for by, end in zip(planned, ended[2:], strict=False):
        assert end <= by + seconds_an_epoch / BATCHES + 2


def test_real_trainings_stop_within_an_epoch(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = TransferModule.training_step

    def slow(self: TransferModule, *batch: Any) -> Any:
        SetForward.by += 10
        return genuine(self, *batch)

    monkeypatch.setattr(TransferModule, "training_step", slow)
    answer = answered(photos, tmp_path / "advice", train_command.run).answer
    assert answer["complete"]
    assert 0.7 <= answer["time"]["spent"] / (60 * MINUTES) <= 1.1
    # The head is solved, and what retrains more has taken all of its time.
    assert [row["freeze"] for row in answer["retraining"]["trainings"] if row["finished"]] == ["frozen"]
    assert "test/accuracy" in answer["test"]


def test_ranking_takes_what_the_plan_says(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a network that takes half a second an image; it is measured on few, and once."""
    genuine = speed.backbone_for

    def slow(node: Node, data: SampleData, trained: Indices, seed: int) -> Backbone:
        backbone = genuine(node, data, trained, seed)

        def wait(module: object, images: tuple[Tensor, ...]) -> None:
            SetForward.by += 0.5 * len(images[0])

        backbone.register_forward_pre_hook(wait)
        return backbone

    monkeypatch.setattr(speed, "backbone_for", slow)
    answered(photos, tmp_path / "advice", training(0.3))
    said = capsys.readouterr().out
    planned = re.search(r"features of 28 images: about (\d+) s", said)
    lines = re.findall(r"^ *(\d+) s  (measures|ranks|trains)", said, re.M)
    # When each was first told.
    told = {what: int(at) for at, what in reversed(lines)}
    assert planned is not None
    assert int(planned[1]) == 14
    # The last batch is filled up from 4 to 8 images, and words are composed before anything is trained.
    assert told["trains"] - told["ranks"] == pytest.approx(14 + 2, abs=4)
