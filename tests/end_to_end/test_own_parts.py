"""A dataset, a backbone and a freeze strategy in the user's own package and config folder work as ours do."""

import json
import sys
from pathlib import Path

import pytest

import graft
from graft.advice import steps
from graft.cli.console import run
from graft.commands import train as train_command
from graft.errors import GraftError
from graft.ranking import costs
from graft.runs.files import read_csv

PACKAGE = '''
import numpy as np
from PIL import Image
from torch import nn

from graft.backbones import Backbone, Preprocessing
from graft.data import SampleData, ImageSamples
from graft.freezing import Treatment


def stripes(count):
    """Dark and light images, told apart by which comes first."""
    labels = [index % 2 for index in range(count)]
    names = [f"stripes/{index}" for index in range(count)]
    return SampleData(["dark", "light"], {"all": ImageSamples(names, labels, Striped(labels))})


class Striped:
    def __init__(self, labels):
        self.labels = labels

    def __call__(self, index):
        noise = np.random.default_rng(index).integers(0, 50, (16, 16), dtype=np.uint8)
        return Image.fromarray(noise + np.uint8(200 if self.labels[index] else 0))


def tiny(width):
    stages = {
        "first": nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU()),
        "second": nn.Sequential(nn.Conv2d(4, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    }
    return Backbone(stages, width=width, preprocessing=Preprocessing(resize=16, crop=16))


class OnlyConvolutions:
    def treatment(self, part, epoch):
        return Treatment(trains=part.kind == "weight" and epoch >= 0)
'''
FILES = {
    "data/stripes.yaml": "defaults: [_loading, _self_]\n_target_: mypkg.stripes\ncount: 40\n",
    "backbone/tiny.yaml": "_target_: mypkg.tiny\nwidth: 6\n",
    "freeze/only_convolutions.yaml": "_target_: mypkg.OnlyConvolutions\n",
}
WORDS = ["data=stripes", "backbone=tiny", "freeze=only_convolutions", "trainer.max_epochs=1", "trainer=cpu"]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/mypkg.py").write_text(PACKAGE)
    for name, text in FILES.items():
        path = tmp_path / "conf" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "src")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("mypkg", None)


def test_own_parts_train_and_are_loaded_when_trusted(own: Path) -> None:
    assert run(["train", "--config-dir", "conf", *WORDS, "data.batch_size=4", "hydra.run.dir=run"]) == 0
    rows = {row["stage"]: row for row in read_csv(own / "run/freeze.csv")}
    counts = (rows["first"]["parameters"], rows["first"]["trainable"], rows["first"]["norm"])
    assert counts == (str(4 * 27 + 4 + 8), str(4 * 27), "frozen")
    with pytest.raises(GraftError, match=r"add trust=\[mypkg\]"):
        graft.load(own / "run")
    assert graft.load(own / "run", trust=["mypkg"]).class_names == ["dark", "light"]
    assert run(["evaluate", "run=run"]) == 2
    assert run(["evaluate", "run=run", "trust=[mypkg]", "hydra.run.dir=again"]) == 0


def test_own_options_define_their_keys_and_no_others(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--config-dir", "conf", *WORDS, "backbone.widht=3"]) == 2
    assert "unknown key backbone.widht; did you mean backbone.width?" in capsys.readouterr().err


def test_from_python_the_folder_is_a_search_path(own: Path) -> None:
    words = [*WORDS, f"hydra.searchpath=[file://{own}/conf]", "hydra.run.dir=python", "logger=none"]
    assert graft.train(words).metrics["test/accuracy"] >= 0


@pytest.mark.parametrize("from_python", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_advice_finds_own_options_and_goes_on_in_any_folder(
    own: Path, from_python: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(costs, "SECONDS", 0)
    monkeypatch.setattr(steps, "folds_within", lambda *seconds: [(3, 1)])
    words = ["data=stripes", "backbones=[tiny]", "trainer=cpu", "minutes=30", f"hydra.run.dir={own}/advice"]

    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_command, "run", stopped)
        if from_python:
            with pytest.raises(KeyboardInterrupt):
                graft.advise([*words, "hydra.searchpath=[file://conf]"])
        else:
            assert run(["advise", "--config-dir", "conf", *words]) == 130
    (own / "elsewhere").mkdir()
    monkeypatch.chdir(own / "elsewhere")
    # The folder of options need not be named again, but its code is somebody's until one says so.
    resumed = f"resume={own}/advice"
    assert run(["advise", resumed]) == 2
    assert "names mypkg.stripes, which is not trusted; add trust=[mypkg]" in capsys.readouterr().err
    trusted = [resumed, "trust=[mypkg]"]
    if from_python:
        graft.advise(trusted)
    else:
        assert run(["advise", *trusted]) == 0
    answer = json.loads((own / "advice/advice.json").read_text())
    assert answer["complete"]
    assert answer["advice"]["backbone"] == "tiny"
    again = [*answer["advice"]["words"], "test=true", "hydra.run.dir=again"]
    assert graft.train(again).metrics["test/accuracy"] == answer["test"]["test/accuracy"]
