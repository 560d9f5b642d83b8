"""A best epoch that soon has a better one waits in memory; whatever is read or lost then is consistent."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from graft.cli.console import run
from graft.training.callbacks.checkpoint_files import CheckedIO, load_checked

BEST, LAST = "best.ckpt", "last.ckpt"


def step_of(path: Path) -> int:
    return int(load_checked(path)["global_step"])


def test_what_was_written_just_now_waits_and_is_written_at_the_end(tmp_path: Path) -> None:
    files = CheckedIO(seconds=60)
    for step in (1, 2, 3):
        files.save_checkpoint({"global_step": step}, tmp_path / BEST)
        assert step_of(tmp_path / BEST) == 1
    files.teardown()
    assert step_of(tmp_path / BEST) == 3
    assert {path.name for path in tmp_path.iterdir()} == {BEST, f"{BEST}.sha256"}


@pytest.mark.parametrize("seconds", [0, 0.001])
def test_what_was_written_long_ago_does_not_wait(
    tmp_path: Path, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("graft.training.callbacks.checkpoint_files.time.monotonic", lambda: next(clock))
    files = CheckedIO(seconds)
    for step in (1, 2, 3):
        files.save_checkpoint({"global_step": step}, tmp_path / BEST)
        assert step_of(tmp_path / BEST) == step


def test_what_waited_never_takes_the_place_of_a_later_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("graft.training.callbacks.checkpoint_files.time.monotonic", lambda: now)
    files = CheckedIO(seconds=1)
    for step, now in ((1, 0.0), (2, 0.5), (3, 2.0)):  # noqa: B007
        files.save_checkpoint({"global_step": step}, tmp_path / BEST)
    files.teardown()
    assert step_of(tmp_path / BEST) == 3


def test_the_last_state_never_waits_and_the_best_is_there_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    write = CheckedIO._write

    def noted(self: CheckedIO, checkpoint: dict[str, Any], path: Path) -> None:
        order.append(f"{path.name} {checkpoint['global_step']}")
        write(self, checkpoint, path)

    monkeypatch.setattr(CheckedIO, "_write", noted)
    files = CheckedIO(seconds=60)
    for step in (1, 2):
        files.save_checkpoint({"global_step": step}, tmp_path / BEST)
        files.save_checkpoint({"global_step": step}, tmp_path / LAST)
    assert order == ["best.ckpt 1", "last.ckpt 1", "best.ckpt 2", "last.ckpt 2"]


def test_what_waits_is_read_as_if_it_were_written(tmp_path: Path) -> None:
    files = CheckedIO(seconds=60)
    for step in (1, 2):
        files.save_checkpoint({"global_step": step}, tmp_path / BEST)
    assert files.load_checkpoint(tmp_path / BEST)["global_step"] == 2


def test_what_is_removed_does_not_come_back(tmp_path: Path) -> None:
    files = CheckedIO(seconds=60)
    for step in (1, 2):
        files.save_checkpoint({"global_step": step}, tmp_path / BEST)
    files.remove_checkpoint(tmp_path / BEST)
    files.teardown()
    assert list(tmp_path.iterdir()) == []


def test_training_on_changes_nothing_of_what_waits(tmp_path: Path) -> None:
    state: Any = OrderedDict(weight=torch.zeros(3))
    state._metadata = {"": {"version": 2}}
    moments = {0: {"exp_avg": torch.zeros(3), "step": torch.zeros(())}}
    table: list[Any] = [1, (torch.zeros(2), "a")]
    files = CheckedIO(seconds=60)
    checkpoint = {"global_step": 1, "state_dict": state, "optimizer_states": [moments], "table": table}
    for _ in range(2):
        files.save_checkpoint(checkpoint, tmp_path / BEST)
    state["weight"] += 1
    moments[0]["exp_avg"] += 1
    table[1][0].add_(1)
    table.append(2)
    files.teardown()
    found = load_checked(tmp_path / BEST)
    assert found["state_dict"]["weight"].tolist() == [0, 0, 0]
    assert found["state_dict"]._metadata == {"": {"version": 2}}
    assert found["optimizer_states"][0][0]["exp_avg"].tolist() == [0, 0, 0]
    assert (len(found["table"]), found["table"][1][0].tolist(), found["table"][1][1]) == (2, [0, 0], "a")


def test_a_run_keeps_the_same_best_epoch_and_answers_however_long_it_waits(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["data=image_folder", f"data.root={photos}", "backbone.image_size=16", "data.batch_size=8"]
    words += ["trainer=cpu", "trainer.max_epochs=4", "logger=none", "optimizer.lr=0.003", "augment=none"]
    for seconds in (0, 600):
        where = [f"callbacks.last.seconds={seconds}", f"hydra.run.dir=waits{seconds}"]
        assert run(["train", *words, *where]) == 0
    one, other = (load_checked(Path(f"waits{seconds}/checkpoints/best.ckpt")) for seconds in (0, 600))
    assert one["global_step"] == other["global_step"] > 4
    for name, weight in one["state_dict"].items():
        assert torch.equal(weight, other["state_dict"][name]), name
    answers = [Path(f"waits{seconds}/predictions.csv").read_bytes() for seconds in (0, 600)]
    assert answers[0] == answers[1]
