"""However a run is trained, after a cut it goes on to the same end."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import graft
from graft.runs import RunFolder
from graft.runs.files import read_csv

EPOCHS = 3
Same = Callable[[RunFolder, RunFolder], None]


def test_a_longer_run_is_the_longer_run(words: list[str], tmp_path: Path) -> None:
    words = [*words, "scheduler=plateau", "scheduler.patience=1", "callbacks=early_stopping"]
    short = graft.train([*words, "trainer.max_epochs=2", f"hydra.run.dir={tmp_path}/short"])
    long = graft.train([*words, f"hydra.run.dir={tmp_path}/long"])
    graft.train([f"resume={short.path}", "trainer.max_epochs=3"])
    assert short.epochs.read_text() == long.epochs.read_text()
    assert (short.bundle / "model.safetensors").read_bytes() == (
        long.bundle / "model.safetensors"
    ).read_bytes()
    assert short.read_config()["trainer"]["max_epochs"] == 3


@pytest.mark.parametrize(
    "more",
    [
        ["trainer.accumulate_grad_batches=2"],
        ["trainer.val_check_interval=2"],
        ["trainer.check_val_every_n_epoch=2", "callbacks=early_stopping"],
        ["scheduler=plateau", "scheduler.patience=1", "optimizer.lr=1.0", "optimizer=sgd"],
        ["trainer.max_steps=13"],
        ["scheduler=step", "scheduler.step_size=1", "optimizer=sgd"],
        ["callbacks.last.minutes=60.0"],
    ],
)
@pytest.mark.parametrize("step", [pytest.param(3, marks=pytest.mark.slow), 8])
def test_however_it_is_trained(
    assert_same: Same,
    more: list[str],
    step: int,
    words: list[str],
    cut: Callable[..., RunFolder],
    tmp_path: Path,
) -> None:
    whole = graft.train([*words, *more, f"hydra.run.dir={tmp_path}/whole"])
    folder = cut(step, *more)
    graft.train([f"resume={folder.path}"])
    assert_same(folder, whole)


@pytest.mark.parametrize("step", [pytest.param(3, marks=pytest.mark.slow), 8])
def test_rows_of_the_csv_logger_are_those_of_the_whole_run(
    step: int, words: list[str], cut: Callable[..., RunFolder], tmp_path: Path
) -> None:
    more = ["logger=csv", "trainer.log_every_n_steps=1", "logger.csv.flush_logs_every_n_steps=1"]
    whole = graft.train([*words, *more, f"hydra.run.dir={tmp_path}/whole"])
    folder = cut(step, *more)
    graft.train([f"resume={folder.path}"])
    ours, wholes = (read_csv(found.path / "csv/metrics.csv") for found in (folder, whole))
    assert ours == wholes
    assert len(ours) > EPOCHS


@pytest.mark.parametrize("step", [10, *(pytest.param(step, marks=pytest.mark.slow) for step in (4, 13))])
def test_a_switch_that_validation_decides_comes_when_it_would_have(
    assert_same: Same, step: int, words: list[str], cut: Callable[..., RunFolder], tmp_path: Path
) -> None:
    # A probe that does not improve: the switch comes after two epochs of the five it may take.
    probe = ["freeze=lp_ft", "freeze.epochs=5", "freeze.patience=1", "optimizer.head_lr=1e-30"]
    probe += [*(word for word in words if not word.startswith("freeze")), "scheduler.restart=true"]
    folder = cut(step, base=probe)
    graft.train([f"resume={folder.path}"])
    whole = graft.train([*probe, f"hydra.run.dir={tmp_path}/whole"])
    assert_same(folder, whole)
    trained = [int(float(row["trainable_parameters"])) for row in read_csv(whole.epochs)]
    assert trained[0] == trained[1] < trained[2]


@pytest.mark.parametrize("step", [0, pytest.param(3, marks=pytest.mark.slow), 8])
def test_co_tuning_goes_on_with_the_relation_that_it_had(
    assert_same: Same, step: int, words: list[str], whole: RunFolder, cut: Callable[..., RunFolder],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # The source is the whole run, with the dropout of its head; the average holds the source's head too.
    tuned = [*words, "regularizer=co_tuning", f"backbone.weights={whole.path}", "callbacks=ema", "mix=both"]
    once = graft.train([*tuned, f"hydra.run.dir={tmp_path}/whole"])
    folder = cut(step, base=tuned)
    with monkeypatch.context() as patch:
        if step:
            # What was learnt is saved; it is not asked again.
            patch.setattr("graft.commands.train.learn_relation", lambda *_: pytest.fail("asked again"))
        graft.train([f"resume={folder.path}"])
    assert_same(folder, once)
    state = torch.load(once.checkpoints / "last.ckpt", weights_only=True)["state_dict"]
    assert state["regularizer.relation"].sum(1).tolist() == pytest.approx([1.0] * 3)


def test_co_tuning_without_weight_is_the_run_without_it(
    words: list[str], trained: Path, tmp_path: Path
) -> None:
    # The source's head is linear: dropout in it would draw what the new one's draws otherwise.
    words = [*words, f"backbone.weights={trained}", "trainer.gradient_clip_val=0.5"]
    runs = [
        graft.train([*words, *more, f"hydra.run.dir={tmp_path}/{index}"])
        for index, more in enumerate(([], ["regularizer=co_tuning", "regularizer.weight=0"]))
    ]
    plain, tuned = ((run.bundle / "model.safetensors").read_bytes() for run in runs)
    assert plain == tuned
