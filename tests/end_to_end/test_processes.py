"""A run in several processes is the run that one process would have made, in one folder, and stops as one."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import graft
from graft.cli.console import run
from graft.errors import GraftError
from graft.runs import RunFolder
from graft.runs.files import read_csv

PACKAGE = '''
import hashlib
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
from PIL import Image
from torch import nn

from graft.backbones import Backbone, Preprocessing
from graft.data import SampleData, ImageSamples


class Noise:
    """Three classes, told apart by the channel that is bright."""

    def __init__(self, labels):
        self.labels = labels

    def __call__(self, index):
        pixels = np.random.default_rng(index).integers(0, 150, (16, 16, 3), dtype=np.uint8)
        pixels[..., self.labels[index]] += 60
        return Image.fromarray(pixels)


def noise(train, val, test):
    parts = {}
    for name, count in (("train", train), ("val", val), ("test", test)):
        labels = [index % 3 for index in range(count)]
        parts[name] = ImageSamples([f"{name}/{index}" for index in range(count)], labels, Noise(labels))
    return SampleData(["red", "green", "blue"], parts)


def tiny(width):
    stages = {
        "first": nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU()),
        "second": nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
        "third": nn.Sequential(nn.Conv2d(4, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    }
    return Backbone(stages, width=width, preprocessing=Preprocessing(resize=16, crop=16))


class Witness(pl.Callback):
    """Writes what each process holds at the end of each epoch, and what it has counted in validation."""

    def __init__(self, dirpath, fails, stops):
        self.folder = Path(dirpath)
        self.fails = fails
        self.stops = stops

    def on_validation_epoch_end(self, trainer, module):
        self.seen = module.tally("val").counts()["confusion"].tolist()

    def on_train_batch_start(self, trainer, module, batch, index):
        if self.fails and trainer.global_step == 3 and trainer.global_rank == 1:
            os._exit(9)
        if trainer.global_step == self.stops and trainer.global_rank == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_train_epoch_end(self, trainer, module):
        self.folder.mkdir(exist_ok=True)
        tensors = {**dict(module.named_parameters()), **dict(module.backbone.named_buffers())}
        held = {name: hashlib.sha256(t.detach().numpy().tobytes()).hexdigest() for name, t in tensors.items()}
        facts = {"held": held, "seen": self.seen, "pid": os.getpid()}
        path = self.folder / f"{trainer.current_epoch}-{trainer.global_rank}.json"
        path.write_text(json.dumps(facts))
'''
FILES = {
    "data/noise.yaml": "defaults: [_loading, _self_]\n_target_: mypkg.noise\ntrain: 29\nval: 21\ntest: 9\n",
    "backbone/tiny.yaml": "_target_: mypkg.tiny\nwidth: 6\n",
    "callbacks/witness.yaml": "defaults: [default, _self_]\n"
    "witness: {_target_: mypkg.Witness, dirpath: witness, fails: false, stops: -1}\n",
}
EPOCHS = 4
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Images whose last batch is uneven, a network with BatchNorm, and a frozen set that changes."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mypkg.py").write_text(PACKAGE)
    for name, text in FILES.items():
        path = folder / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sys.path.insert(0, str(folder))
    yield [
        *(f"hydra.searchpath=[file://{folder}/conf]", "data=noise", "backbone=tiny", "callbacks=witness"),
        *("trainer=ddp_cpu", f"trainer.max_epochs={EPOCHS}", "data.batch_size=8", "data.num_workers=0"),
        *("freeze=gradual", "freeze.norm=affine", "callbacks.last.minutes=0.0", "optimizer.lr=0.01"),
    ]
    sys.path.remove(str(folder))
    sys.modules.pop("mypkg", None)


@pytest.fixture(scope="module")
def pair(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, RunFolder]:
    """The run of two processes and that of one: jobs of one sweep."""
    folder = tmp_path_factory.mktemp("sweep")
    assert run(["train", "-m", *words, "trainer.devices=2,1", f"hydra.sweep.dir={folder}"]) == 0
    assert not {"LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} & set(os.environ)
    assert not torch.distributed.is_initialized()
    runs = sorted(path for path in folder.iterdir() if path.is_dir())
    assert len(runs) == 2
    return RunFolder.open(runs[0]), RunFolder.open(runs[1])


def witness(folder: RunFolder, epoch: int, process: int) -> dict[str, Any]:
    return dict(json.loads((folder.path / "witness" / f"{epoch}-{process}.json").read_text()))


def test_all_processes_hold_the_same_after_every_phase(pair: tuple[RunFolder, RunFolder]) -> None:
    two, _ = pair
    held = [[witness(two, epoch, process)["held"] for process in range(2)] for epoch in range(EPOCHS)]
    for first, second in held:
        assert first == second
    # The head first, then a stage more an epoch; the statistics stand still.
    ends = [first for first, _ in held]
    moved = [{name for name in after if before[name] != after[name]} for before, after in pairwise(ends)]
    stages = [{name.split(".")[2] for name in names if "stages" in name} for names in moved]
    assert stages == [{"third"}, {"second", "third"}, {"first", "second", "third"}]
    assert not [name for names in moved for name in names if "running" in name]


def test_each_image_is_validated_once(pair: tuple[RunFolder, RunFolder]) -> None:
    two, one = pair
    for epoch in range(EPOCHS):
        parts = [torch.tensor(witness(two, epoch, process)["seen"]) for process in range(2)]
        assert [int(part.sum()) for part in parts] == [11, 10]
        assert torch.equal(parts[0] + parts[1], torch.tensor(witness(one, epoch, 0)["seen"]))


def test_the_numbers_are_those_of_one_process(pair: tuple[RunFolder, RunFolder]) -> None:
    two, one = pair
    for row, alone in zip(read_csv(two.epochs), read_csv(one.epochs), strict=True):
        assert row.keys() == alone.keys()
        for key, value in row.items():
            assert float(value) == pytest.approx(float(alone[key]), rel=1e-4, abs=1e-6), key
    assert two.metrics["test/accuracy"] == one.metrics["test/accuracy"]
    assert [row["predicted"] for row in read_csv(two.predictions)] == [
        row["predicted"] for row in read_csv(one.predictions)
    ]


def test_there_is_one_folder_written_by_the_first_process(pair: tuple[RunFolder, RunFolder]) -> None:
    two, _ = pair
    assert two.status()["pid"] == os.getpid() == witness(two, 0, 0)["pid"]
    assert witness(two, 0, 1)["pid"] != os.getpid()
    kinds = [
        sorted({path.relative_to(found.path).parts[0] for path in found.path.rglob("*")}) for found in pair
    ]
    assert kinds[0] == kinds[1]
    events = [len(list((found.path / "tensorboard").glob("events*"))) for found in pair]
    assert events[0] == events[1]
    assert graft.load(two.path, trust=["mypkg"]).class_names == ["red", "green", "blue"]


def test_all_stop_after_the_same_step_and_go_on_to_the_same_end(
    words: list[str], pair: tuple[RunFolder, RunFolder], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    # A signal reaches the first process in the middle of a step.
    assert run(["train", *words, "callbacks.witness.stops=5", f"hydra.run.dir={tmp_path}/run"]) == 143
    folder = RunFolder.open(tmp_path / "run")
    assert folder.status()["status"] == "interrupted"
    graft.train([f"resume={folder.path}", "trust=[mypkg]"])
    assert "goes on after step 6" in capsys.readouterr().out
    whole = pair[0]
    for name in ("metrics.csv", "predictions.csv", "model/model.safetensors"):
        assert (folder.path / name).read_bytes() == (whole.path / name).read_bytes(), name
    for epoch in range(EPOCHS):
        assert witness(folder, epoch, 1)["held"] == witness(whole, epoch, 1)["held"]


def test_a_run_ends_where_one_of_its_processes_does(words: list[str], tmp_path: Path) -> None:
    with pytest.raises(GraftError, match="process 1 of the run ended with exit status 9"):
        graft.train([*words, "callbacks.witness.fails=true", f"hydra.run.dir={tmp_path}/run"])
    assert RunFolder.open(tmp_path / "run").status()["status"] == "failed"
    assert not torch.distributed.is_initialized()
    assert "LOCAL_RANK" not in os.environ


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("data.batch_size=7", "data.batch_size=7 is the batch of all 2 processes together"),
        ("trainer.devices=0", "trainer.devices=0 is wrong"),
        ("trainer.num_nodes=2", "trainer.num_nodes=2 needs torchrun or srun"),
        ("trainer.overfit_batches=2", "trainer.overfit_batches is for one process"),
        ("trainer.devices=24", "29 images to train on and 21 to validate are too few for 24 processes"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    word: str, answer: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(["train", *words, "data.batch_size=24", word]) == 2
    err = capsys.readouterr().err
    assert answer in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_processes_that_torchrun_starts_make_the_same_run(
    words: list[str], pair: tuple[RunFolder, RunFolder], tmp_path: Path
) -> None:
    graft_command = ["-m", "graft", "train", *words, f"hydra.run.dir={tmp_path}/run"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [*TORCHRUN, *graft_command],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    for name in ("metrics.csv", "predictions.csv", "model/model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (pair[0].path / name).read_bytes(), name
    assert done.stdout.count("tested the weights of epoch") == 1


@pytest.mark.slow
def test_of_processes_that_torchrun_starts_the_first_lets_the_others_go(
    pair: tuple[RunFolder, RunFolder], tmp_path: Path
) -> None:
    """It finds nothing to train."""
    again = ["-m", "graft", "train", f"resume={pair[0].path}", "trust=[mypkg]", "trainer.devices=2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [*TORCHRUN, *again], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "already finished" in done.stdout


def test_a_sweep_under_a_launcher_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key, value in {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1"}.items():
        monkeypatch.setenv(key, value)
    assert run(["train", "-m", "seed=0,1"]) == 2
    assert "-m under srun: start each run of a sweep by itself" in capsys.readouterr().err
