"""The run that nothing stops, runs that are cut, and how they are compared: to the last bit, on a CPU."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer

import graft
from graft.runs import RunFolder

EPOCHS = 3


@pytest.fixture(scope="session")
def words(photos: Path) -> list[str]:
    return [
        *("data=image_folder", f"data.root={photos}", "data.batch_size=4", "data.num_workers=0"),
        *("augment=light", "head=mlp", "head.dropout=0.5", "freeze=last_k", "freeze.k=2", "trainer=cpu"),
        *(f"trainer.max_epochs={EPOCHS}", "callbacks.last.minutes=0.0"),
    ]


@pytest.fixture(scope="session")
def whole(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The run that nothing stops."""
    return graft.train([*words, f"hydra.run.dir={tmp_path_factory.mktemp('whole')}/run"])


@pytest.fixture(autouse=True)
def _event_files_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Number event files from 100 on: within one second TensorBoard would read a 10th before a 9th."""
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(100))


@pytest.fixture
def cut(
    words: list[str], tmp_path: Path, cut_at: Callable[[int], AbstractContextManager[None]]
) -> Callable[..., RunFolder]:
    """Make a run in this process that an exception ends within a given step."""

    def cut(step: int, *more: str, base: list[str] = words) -> RunFolder:
        with cut_at(step):
            graft.train([*base, *more, f"hydra.run.dir={tmp_path}/run"])
        return RunFolder.open(tmp_path / "run")

    return cut


@pytest.fixture(scope="session")
def assert_same() -> Callable[[RunFolder, RunFolder], None]:
    """Fail unless two runs left the same: checkpoints, tables, bundles and curves."""
    return _assert_same


def _same(one: Any, other: Any) -> bool:
    """Whether nested values are equal, tensors to the last bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _assert_same(folder: RunFolder, whole: RunFolder) -> None:
    ends = [torch.load(found.checkpoints / "last.ckpt", weights_only=True) for found in (folder, whole)]
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch", "tally"):
        assert _same(ends[0][key], ends[1][key]), key
    for key in ("random", "table", "metrics"):
        assert _same(*(end["callbacks"]["Checkpoints"][key] for end in ends)), key
    assert folder.epochs.read_text() == whole.epochs.read_text()
    assert folder.predictions.read_text() == whole.predictions.read_text()
    for name in ("model.safetensors", "model.yaml"):
        assert (folder.bundle / name).read_bytes() == (whole.bundle / name).read_bytes()
    assert {**folder.metrics, "seconds": 0} == {**whole.metrics, "seconds": 0}
    assert _curves(folder) == _curves(whole)


def _curves(folder: RunFolder) -> dict[str, list[tuple[int, float]]]:
    board = EventAccumulator(str(folder.path / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    tags = board.Tags()["scalars"]
    # Sorted: the files of two parts begun within one second may be read in either order.
    return {tag: sorted((point.step, point.value) for point in board.Scalars(tag)) for tag in tags}
