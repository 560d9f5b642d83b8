"""`graft soup`, `tta=` and a cross-validation's folder as one model: better from what is there."""

import json
from pathlib import Path

import numpy as np
import pytest

import graft
from graft.cli.console import run
from graft.runs import RunFolder
from graft.runs.files import read_csv

SHORT = ["trainer=cpu", "trainer.max_epochs=2", "logger=none", "data.batch_size=8", "freeze=full"]


@pytest.fixture(scope="module")
def tuned(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two fine-tunings from one start."""
    path = tmp_path_factory.mktemp("tuned")
    words = ["data=image_folder", f"data.root={photos}", *SHORT]
    graft.train([*words, "calibrate=true", f"hydra.run.dir={path / 'start'}"])
    for seed in (0, 1):
        begun = f"backbone.weights={path / 'start'}"
        graft.train([*words, begun, f"seed={seed}", f"hydra.run.dir={path / 'runs' / str(seed)}"])
    return path


def test_a_soup_is_a_run_whose_validation_is_no_worse(
    tuned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tuned / "soup"
    assert run(["soup", f"runs={tuned / 'runs'}", "accelerator=cpu", f"hydra.run.dir={folder}"]) == 0
    assert "in the soup; taken" in capsys.readouterr().out
    soup, rows = RunFolder.open(folder), read_csv(folder / "soup.csv")
    alone = [RunFolder(tuned / "runs" / seed).metrics["val/accuracy"] for seed in ("0", "1")]
    assert soup.metrics["val/accuracy"] >= max(alone)
    assert rows[0]["taken"] == "True"
    assert sorted(float(row["val_accuracy"]) for row in rows) == pytest.approx(sorted(alone))
    low, high = soup.metrics["soup/gain_ci"]
    assert low <= soup.metrics["soup/gain"] <= high
    # It is evaluated like any run, to the same numbers.
    again = tuned / "again"
    assert run(["evaluate", f"run={folder}", "accelerator=cpu", f"hydra.run.dir={again}"]) == 0
    assert json.loads((again / "metrics.json").read_text())["test/accuracy"] == soup.metrics["test/accuracy"]


def test_what_is_no_soup_is_refused(
    tuned: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tuned / "runs"
    other = ["data=image_folder", f"data.root={photos}", *SHORT, "data.split_seed=7"]
    graft.train([*other, f"hydra.run.dir={tmp_path / 'other'}"])
    for wanted, said in (
        (f"runs={runs / '0'}", "a soup takes two finished runs or more, and there are 1"),
        (f"runs=[{runs / '0'},{tmp_path / 'other'}]", "divide their data differently"),
        (f"runs={tmp_path / 'none'}", "there is no"),
    ):
        assert run(["soup", wanted, f"hydra.run.dir={tmp_path / 'soup'}"]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "soup").exists()


def test_tta_averages_the_answers_to_the_mirrored_image(
    tuned: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "flipped"
    words = [f"run={tuned / 'start'}", "accelerator=cpu", f"hydra.run.dir={folder}"]
    assert run(["evaluate", *words, "tta=flip"]) == 0
    assert "of accuracy beside the plain image alone" in " ".join(capsys.readouterr().out.split())
    metrics = json.loads((folder / "metrics.json").read_text())
    plain = RunFolder(tuned / "start").metrics
    assert metrics["tta/gain"] == pytest.approx(metrics["test/accuracy"] - plain["test/accuracy"])
    # By hand: the mean of the logits of an image and of its mirror, at the run's temperature.
    bundle = graft.load(tuned / "start")
    row = read_csv(folder / "predictions.csv")[0]
    root = RunFolder(tuned / "start").read_config()["data"]["root"]
    image = bundle.transform(bundle.kind.sample(str(Path(root) / row["path"]), None))
    logits = (bundle.model(image[None]) + bundle.model(image.flip(-1)[None])).detach() / 2
    expected = (logits / bundle.temperature).softmax(1)[0].numpy()
    found = np.array([float(row[f"p_{name}"]) for name in bundle.class_names])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert run(["evaluate", *words[:2], "tta=five", f"hydra.run.dir={tmp_path / 'five'}"]) == 2
    assert "leaves no corners; tta=flip" in capsys.readouterr().err
