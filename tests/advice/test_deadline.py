"""`minutes` holds: an advice whose trainings take ever longer ends in time, and by its own plan.

All is real but the trainings, which set the clock forward instead of taking their time.
"""

import itertools
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from graft.advice import climbing, clock, steps, trainings
from graft.advice.advice import Advice
from graft.commands import advise
from graft.composition.composing import compose
from graft.configuration.run_config import RunConfig
from graft.processes import interruption
from graft.processes.interruption import is_pending, raise_pending
from graft.ranking import costs
from graft.runs.files import read_csv, write_csv, write_json, write_yaml
from graft.runs.folder import RunFolder

MINUTES = 2.0
EPOCHS, BATCHES = 10, 10


class SetForward:
    """The time, and what it was set forward by, of all modules that ask for it."""

    by = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + SetForward.by


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
    for module in (advise, clock, climbing, interruption, steps, trainings):
        monkeypatch.setattr(module, "time", SetForward())
    SetForward.by = 0.0


def training(seconds_an_epoch: float) -> Callable[[RunConfig, Path, list[str]], RunFolder]:
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


def answered(photos: Path, path: Path, seconds_an_epoch: float) -> Advice:
    words = ["data=image_folder", f"data.root={photos}", "trainer=cpu", f"minutes={MINUTES:g}"]
    words += ["backbones=[simple_cnn]", "weights.simple_cnn=null", f"hydra.run.dir={path}"]
    config, _ = compose("advise", words)
    return Advice(advise.run(config, path, words, training(seconds_an_epoch)))


@pytest.mark.parametrize("seconds_an_epoch", [0.3, 30.0])
def test_minutes_hold_within_a_tenth_and_each_step_ends_as_the_plan_says(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], seconds_an_epoch: float
) -> None:
    advice = answered(photos, tmp_path / "advice", seconds_an_epoch)
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
