"""A run that was stopped anywhere goes on and ends as if it had never been: to the last bit, on a CPU."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer

import graft
from graft.cli.console import run
from graft.configuration.version import __version__
from graft.errors import GraftError
from graft.processes.interruption import Terminated
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv, write_yaml
from graft.training import TransferModule

EPOCHS = 3
# Sets the signal off within a training step; the run is a process of its own.
KILLED = """
import os, signal, sys
from graft.cli.console import run
from graft.training import TransferModule
step, number = int(sys.argv[1]), int(sys.argv[2])
inner = TransferModule.training_step
def training_step(self, batch, index):
    if self.global_step == step:
        os.kill(os.getpid(), number)
    return inner(self, batch, index)
TransferModule.training_step = training_step
sys.exit(run(sys.argv[3:]))
"""


class Cut(Exception):
    """What a test stops a run with."""


@pytest.fixture(scope="module")
def words(photos: Path) -> list[str]:
    return [
        *("data=image_folder", f"data.root={photos}", "data.batch_size=4", "data.num_workers=0"),
        *("augment=light", "head=mlp", "head.dropout=0.5", "freeze=last_k", "freeze.k=2", "trainer=cpu"),
        *(f"trainer.max_epochs={EPOCHS}", "callbacks.last.minutes=0.0"),
    ]


@pytest.fixture(scope="module")
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


def same(one: Any, other: Any) -> bool:
    """Whether nested values are equal, tensors to the last bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def assert_same(folder: RunFolder, whole: RunFolder) -> None:
    ends = [torch.load(found.checkpoints / "last.ckpt", weights_only=True) for found in (folder, whole)]
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch", "tally"):
        assert same(ends[0][key], ends[1][key]), key
    for key in ("random", "table", "metrics"):
        assert same(*(end["callbacks"]["Checkpoints"][key] for end in ends)), key
    assert folder.epochs.read_text() == whole.epochs.read_text()
    assert folder.predictions.read_text() == whole.predictions.read_text()
    for name in ("model.safetensors", "model.yaml"):
        assert (folder.bundle / name).read_bytes() == (whole.bundle / name).read_bytes()
    assert {**folder.metrics, "seconds": 0} == {**whole.metrics, "seconds": 0}
    assert curves(folder) == curves(whole)


def curves(folder: RunFolder) -> dict[str, list[tuple[int, float]]]:
    board = EventAccumulator(str(folder.path / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    tags = board.Tags()["scalars"]
    # Sorted: the files of two parts begun within one second may be read in either order.
    return {tag: sorted((point.step, point.value) for point in board.Scalars(tag)) for tag in tags}


def contents(folder: RunFolder) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.path.rglob("*")) if path.is_file()}


# Before the first checkpoint, within an epoch, at an epoch's last and the next one's first step.
@pytest.mark.parametrize("step", [0, 1, 4, 5, 6, 7, 16])
def test_a_cut_run_goes_on_to_the_same_end(
    step: int, cut: Callable[..., RunFolder], whole: RunFolder
) -> None:
    folder = cut(step)
    assert folder.status()["status"] == "failed"
    assert graft.train([f"resume={folder.path}"]).path == folder.path
    assert folder.status()["status"] == "finished"
    assert folder.status()["resumed"] == 1
    assert_same(folder, whole)


def test_a_run_is_cut_again_and_again(
    cut: Callable[..., RunFolder], whole: RunFolder, cut_at: Callable[[int], AbstractContextManager[None]]
) -> None:
    folder = cut(4)
    for step in (7, 8, 13):
        with cut_at(step):
            graft.train([f"resume={folder.path}"])
    graft.train([f"resume={folder.path}"])
    assert folder.status()["resumed"] == 4
    assert_same(folder, whole)


@pytest.mark.parametrize("name", ["test", "save_bundle", "write_test"])
def test_a_run_stopped_after_training_is_not_trained_again(
    name: str, words: list[str], whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: Any) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(f"graft.training.ending.{name}", stop)
        with pytest.raises(Cut):
            graft.train([*words, f"hydra.run.dir={tmp_path}/run"])
    with monkeypatch.context() as patch:
        patch.setattr(TransferModule, "training_step", stop)
        folder = graft.train([f"resume={tmp_path}/run"])
    assert_same(folder, whole)


def test_a_damaged_last_checkpoint_is_told_and_the_one_before_is_used(
    cut: Callable[..., RunFolder], whole: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = cut(9)
    last = folder.checkpoints / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-100])
    graft.train([f"resume={folder.path}"])
    out = capsys.readouterr().out
    assert f"{last} is damaged" in out
    assert "goes on after step 8" in out
    assert_same(folder, whole)


def test_a_moved_run_goes_on_where_it_is(
    cut: Callable[..., RunFolder], whole: RunFolder, tmp_path: Path
) -> None:
    cut(14).path.rename(tmp_path / "moved")
    assert_same(graft.train([f"resume={tmp_path}/moved"]), whole)


def test_the_last_unfinished_run_is_found(
    cut: Callable[..., RunFolder],
    whole: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", "resume=last"]) == 2
    assert "no unfinished run below outputs/" in capsys.readouterr().err
    (tmp_path / "outputs").mkdir()
    cut(14).path.rename(tmp_path / "outputs/cut")
    assert run(["train", "resume=last", "data.num_workers=1"]) == 0
    assert_same(RunFolder.open("outputs/cut"), whole)
    # Hydra's own new folder is gone.
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["cut"]
    assert run(["train", "resume=last"]) == 2


def test_a_finished_run_stays_as_it_is(whole: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(whole)
    assert run(["train", f"resume={whole.path}"]) == 0
    assert "already finished" in capsys.readouterr().out
    assert contents(whole) == before


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("seed=1", "seed cannot change"),
        ("data.batch_size=8", "data.batch_size cannot change"),
        ("optimizer=sgd", "optimizer cannot change"),
        ("callbacks.last.minutes=1", "callbacks.last.minutes cannot change"),
        ("trainer.max_epochs=2", "less than the 3"),
        ("trainer.max_epochs=4", "scheduler=cosine depends on it"),
    ],
)
def test_what_would_change_the_result_is_refused(
    word: str, answer: str, whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    before = contents(whole)
    assert run(["train", f"resume={whole.path}", word]) == 2
    captured = capsys.readouterr()
    assert answer in captured.err
    assert len(captured.err.splitlines()) == 1
    assert contents(whole) == before
    assert list(tmp_path.iterdir()) == []


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
@pytest.mark.parametrize("step", [3, 8])
def test_however_it_is_trained(
    more: list[str], step: int, words: list[str], cut: Callable[..., RunFolder], tmp_path: Path
) -> None:
    whole = graft.train([*words, *more, f"hydra.run.dir={tmp_path}/whole"])
    folder = cut(step, *more)
    graft.train([f"resume={folder.path}"])
    assert_same(folder, whole)


def test_another_split_and_a_live_process_are_refused(cut: Callable[..., RunFolder]) -> None:
    folder = cut(3)
    rows = read_csv(folder.split)
    write_csv(folder.split, rows[1:])
    with pytest.raises(GraftError, match="1 images of the data are not listed"):
        graft.train([f"resume={folder.path}"])
    next(row for row in rows if row["split"] == "train")["split"] = "val"
    write_csv(folder.split, rows)
    with pytest.raises(GraftError, match="the images, or their split, are not those of"):
        graft.train([f"resume={folder.path}"])
    assert folder.status()["status"] == "failed"
    folder.set_status("running", pid=os.getppid(), host=os.uname().nodename, started="")
    with pytest.raises(GraftError, match="still running"):
        graft.train([f"resume={folder.path}"])


@pytest.mark.parametrize("step", [3, 8])
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


def test_a_run_of_an_older_graft_goes_on(cut: Callable[..., RunFolder], whole: RunFolder) -> None:
    folder = cut(8)
    config = folder.read_config()
    for key in ("lr_find", "mix", "regularizer", "distill", "channels_last"):
        del config[key]
    del config["callbacks"]["best"]["verbose"], config["freeze"]["norm"]
    write_yaml(folder.config, config)
    graft.train([f"resume={folder.path}"])
    assert_same(folder, whole)
    assert folder.read_config() == whole.read_config()


def test_what_an_older_graft_did_not_say_is_asked_for(
    cut: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = cut(8)
    config = folder.read_config()
    del config["optimizer"]["lr"]
    write_yaml(folder.config, config)
    before = contents(folder)
    assert run(["train", f"resume={folder.path}"]) == 2
    wrote = f"{folder.config}, which Graft {__version__} wrote,"
    assert (
        capsys.readouterr().err
        == f"graft: {wrote} has no optimizer.lr, without which this one cannot go on\n"
    )
    assert contents(folder) == before


def test_code_of_others_is_not_run(cut: Callable[..., RunFolder]) -> None:
    folder = cut(1)
    folder.config.write_text(folder.config.read_text().replace("graft.models.mlp", "os.system"))
    with pytest.raises(GraftError, match="not trusted"):
        graft.train([f"resume={folder.path}"])


def launch(step: int, number: int, words: list[str], folder: Path) -> int:
    command = [sys.executable, "-c", KILLED, str(step), str(int(number)), "train", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, f"hydra.run.dir={folder}"], capture_output=True, text=True, env=environment, timeout=300
    )
    assert "Traceback" not in done.stderr
    return done.returncode


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_told_to_stop_saves_the_step_it_is_in(
    number: int, code: int, words: list[str], whole: RunFolder, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    words = [*words, "callbacks.last.minutes=60.0"]
    assert launch(8, number, words, tmp_path / "run") == code
    folder = RunFolder.open(tmp_path / "run")
    assert folder.status()["status"] == "interrupted"
    graft.train([f"resume={folder.path}"])
    assert "goes on after step 9" in capsys.readouterr().out
    assert_same(folder, whole)


# With all that has a state of its own: phases, an average, mixed batches, a regulariser, dropout.
EVERYTHING = ["freeze=gradual", "callbacks=ema", "mix=both", "regularizer=delta"]


@pytest.fixture(scope="module")
def rich(words: list[str]) -> list[str]:
    return [*(word for word in words if not word.startswith("freeze")), *EVERYTHING]


@pytest.fixture(scope="module")
def whole_rich(rich: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return graft.train([*rich, f"hydra.run.dir={tmp_path_factory.mktemp('rich')}/run"])


@pytest.mark.parametrize(
    ("step", "workers"),
    [
        (8, 0),
        *(pytest.param(s, w, marks=pytest.mark.slow) for s in (0, 2, 6, 11, 17) for w in (0, 2)),
    ],
)
def test_a_killed_run_goes_on_to_the_same_end(
    step: int, workers: int, rich: list[str], whole_rich: RunFolder, tmp_path: Path
) -> None:
    words = [*rich, f"data.num_workers={workers}"]
    assert launch(step, signal.SIGKILL, words, tmp_path / "run") == -signal.SIGKILL
    folder = RunFolder.open(tmp_path / "run")
    assert folder.status()["status"] == "running"
    # TensorBoard orders two processes' files by the second in their names, and a new process takes longer.
    time.sleep(1.1)
    # A process of its own: this one's tenth file within a second would be read before its ninth.
    resume = [sys.executable, "-m", "graft", "train", f"resume={folder.path}"]
    subprocess.run(resume, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert_same(folder, whole_rich)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(
    workers: int, words: list[str], whole: RunFolder, tmp_path: Path
) -> None:
    folder = graft.train([*words, f"data.num_workers={workers}", f"hydra.run.dir={tmp_path}/run"])
    assert_same(folder, whole)


@pytest.mark.parametrize("step", [4, 10, 13])
def test_a_switch_that_validation_decides_comes_when_it_would_have(
    step: int, words: list[str], cut: Callable[..., RunFolder], tmp_path: Path
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_of_validation_is_what_it_is(
    number: int, words: list[str], whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Lightning has a handler of its own for SIGTERM, and an exit of its own from validation.
    inner = TransferModule.validation_step

    def validation_step(self: TransferModule, batch: Any, index: int) -> None:
        if self.current_epoch == 1 and index == 0:
            os.kill(os.getpid(), number)
        inner(self, batch, index)

    terminated = number == signal.SIGTERM
    with monkeypatch.context() as patch:
        patch.setattr(TransferModule, "validation_step", validation_step)
        with pytest.raises(Terminated if terminated else KeyboardInterrupt):
            graft.train([*words, f"hydra.run.dir={tmp_path}/run"])
    folder = RunFolder.open(tmp_path / "run")
    assert folder.status()["status"] == "interrupted"
    assert folder.status()["reason"] == ("SIGTERM" if terminated else "Ctrl-C")
    graft.train([f"resume={folder.path}"])
    assert_same(folder, whole)


@pytest.mark.parametrize("step", [0, 3, 8])
def test_co_tuning_goes_on_with_the_relation_that_it_had(
    step: int, words: list[str], whole: RunFolder, cut: Callable[..., RunFolder], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
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
