"""A dataset, a backbone and a freeze strategy in the user's own package and config folder work as ours do."""

import sys
from pathlib import Path

import pytest

import graft
from graft.cli.console import run
from graft.errors import GraftError
from graft.runs.files import read_csv

PACKAGE = '''
from PIL import Image
from torch import nn

from graft.backbones import Backbone, Preprocessing
from graft.data import SampleData, ImageSamples
from graft.freezing import Treatment


def stripes(count):
    """Black and white images, told apart by which comes first."""
    labels = [index % 2 for index in range(count)]
    names = [f"stripes/{index}" for index in range(count)]
    return SampleData(["dark", "light"], {"all": ImageSamples(names, labels, Striped(labels))})


class Striped:
    def __init__(self, labels):
        self.labels = labels

    def __call__(self, index):
        return Image.new("L", (16, 16), 200 if self.labels[index] else 20)


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
