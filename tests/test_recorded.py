"""What an earlier Graft left goes on working, though what its configuration names stands elsewhere now.

`tests/recorded/run` was written before the rooms of `src/graft` were made, by `graft train data=image_folder
backbone.image_size=16 optimizer=sgd regularizer=l2 callbacks=[default,ema] scheduler=constant …`.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import graft
from graft.cli.console import run
from graft.configuration.building import MOVED, with_todays_names
from graft.runs.files import read_csv

RECORDED = Path(__file__).parent / "recorded" / "run"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The images of the run, by the same bytes."""
    for channel, name in enumerate(("blue", "green", "red")):
        (tmp_path / "pics" / name).mkdir(parents=True)
        for index in range(8):
            grey = np.add.outer(np.arange(16) * 7 + index * 11, np.arange(16) * 5) % 96
            pixels = np.stack([grey] * 3, 2).astype(np.uint8)
            pixels[..., channel] += 120
            Image.fromarray(pixels).save(tmp_path / "pics" / name / f"{index}.bmp")
    return tmp_path / "pics"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    return shutil.copytree(RECORDED, tmp_path / "run")


def test_its_names_are_not_todays() -> None:
    text = (RECORDED / "config.yaml").read_text(encoding="utf-8")
    for old in ("graft.data.image_folder", "graft.training.linear", "graft.regularization.L2"):
        assert f"_target_: {old}\n" in text
        assert MOVED[old] != old
    nested = {"a": [{"_target_": "graft.training.ema.Ema"}], "_target_": "mypkg.mine", "b": 1}
    expected = {"a": [{"_target_": "graft.training.Ema"}], "_target_": "mypkg.mine", "b": 1}
    assert with_todays_names(nested) == expected


def test_a_run_goes_on(recorded: Path, pictures: Path) -> None:
    words = [f"resume={recorded}", f"data.root={pictures}", "trainer.max_epochs=2"]
    assert run(["train", *words]) == 0
    rows = read_csv(recorded / "metrics.csv")
    first = read_csv(RECORDED / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert rows[0]["val/loss"] == first[0]["val/loss"]


def test_its_model_is_loaded_evaluated_and_begun_with(recorded: Path, pictures: Path, tmp_path: Path) -> None:
    said = graft.load(recorded / "model").predict(sorted(pictures.rglob("*.bmp")))
    rows = read_csv(recorded / "split.csv")
    assert len(said) == len(rows) == 24
    words = [f"run={recorded}", f"data.root={pictures}", f"hydra.run.dir={tmp_path / 'again'}"]
    assert run(["evaluate", *words, "accelerator=cpu"]) == 0
    again, before = ((path / "metrics.json").read_text() for path in (tmp_path / "again", RECORDED))
    assert '"test/accuracy": 0.6666666' in again
    assert '"test/accuracy": 0.6666666' in before
    more = ["backbone.image_size=16", "trainer=cpu", "logger=none", f"hydra.run.dir={tmp_path / 'next'}"]
    graft.train(["data=digits", "data.fraction=0.1", f"backbone.weights={recorded}", "freeze=frozen", *more])


def test_it_is_compared(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", f"runs={recorded}", f"hydra.run.dir={tmp_path / 'table'}"]) == 0
    assert "simple_cnn" in capsys.readouterr().out


def test_a_run_that_lacks_keys_of_today_is_refused_by_name(
    recorded: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = yaml.safe_load((recorded / "config.yaml").read_text(encoding="utf-8"))
    del config["cache"], config["distill"]["trust"]
    (recorded / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    assert run(["train", f"resume={recorded}", f"data.root={pictures}", "trainer.max_epochs=2"]) == 2
    said = capsys.readouterr().err
    assert "which Graft 0.1.0 wrote, has no cache, distill.trust, without which this version cannot" in said
    assert run(["compare", f"runs={recorded}", f"hydra.run.dir={recorded.parent / 'table'}"]) == 0
