"""`calibrate=true` fits one number on validation, keeps it with the model, and changes no prediction."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import graft
from graft.cli.console import run
from graft.data import split_from_rows
from graft.evaluation.calibration import fit_temperature
from graft.runs import RunFolder
from graft.runs.files import read_csv
from graft.sources import digits

WORDS = ["data=digits", "data.fraction=0.2", "trainer.max_epochs=2", "trainer=cpu", "logger=none"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return graft.train([*WORDS, f"hydra.run.dir={tmp_path_factory.mktemp('plain') / 'run'}"])


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    path = tmp_path_factory.mktemp("calibrated") / "run"
    return graft.train([*WORDS, "calibrate=true", f"hydra.run.dir={path}"])


def shares(folder: RunFolder) -> np.ndarray:
    rows = read_csv(folder.predictions)
    return np.array([[float(value) for key, value in row.items() if key.startswith("p_")] for row in rows])


def test_the_temperature_is_that_of_the_validation_images_alone(calibrated: RunFolder) -> None:
    model = graft.load(calibrated.path)
    data = digits()
    val = split_from_rows(read_csv(calibrated.split), data)["val"]
    images = torch.stack([model.transform(data.samples[index]) for index in val])
    with torch.inference_mode():
        logits = model.model(images)
    expected = fit_temperature(logits, torch.from_numpy(data.samples.labels[val]))
    assert calibrated.metrics["temperature"] == pytest.approx(expected, rel=1e-4)
    assert model.temperature == calibrated.metrics["temperature"] != 1


def test_the_numbers_before_are_those_of_the_run_without_it(plain: RunFolder, calibrated: RunFolder) -> None:
    before, after = plain.metrics, calibrated.metrics
    for key in ("accuracy", "balanced_accuracy", "f1_macro", "loss", "accuracy_ci"):
        assert after[f"test/{key}"] == before[f"test/{key}"]
    for key in ("log_loss", "brier", "ece", "ece_ci", "auroc"):
        assert after[f"uncalibrated/{key}"] == before[f"test/{key}"]
    assert after["test/log_loss"] < before["test/log_loss"]
    assert "temperature" not in before
    first, second = read_csv(plain.predictions), read_csv(calibrated.predictions)
    assert [row["predicted"] for row in first] == [row["predicted"] for row in second]
    logits = np.log(shares(plain)) / after["temperature"]
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert shares(calibrated) == pytest.approx(expected, abs=1e-5)


def test_the_model_is_used_as_it_was_calibrated(
    calibrated: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    described = yaml.safe_load((calibrated.bundle / "model.yaml").read_text())
    assert described["temperature"] == calibrated.metrics["temperature"]
    assert run(["evaluate", f"run={calibrated.path}", "accelerator=cpu", "hydra.run.dir=again"]) == 0
    assert RunFolder(tmp_path / "again").predictions.read_text() == calibrated.predictions.read_text()
    again = json.loads((tmp_path / "again/metrics.json").read_text())
    parts = ("test/", "uncalibrated/", "temperature", "seen/")
    assert again == {key: value for key, value in calibrated.metrics.items() if key.startswith(parts)}
    first = read_csv(calibrated.predictions)[0]
    data = digits()
    data.samples[data.samples.names.index(first["path"])].save("digit.png")
    assert run(["predict", f"run={calibrated.path}", "source=digit.png", "hydra.run.dir=out"]) == 0
    (row,) = read_csv(tmp_path / "out/predictions.csv")
    for key in (key for key in row if key.startswith("p_")):
        assert float(row[key]) == pytest.approx(float(first[key]), abs=1e-6)
        named = graft.load(calibrated.path).predict("digit.png")[0].probabilities[key.removeprefix("p_")]
        assert named == pytest.approx(float(first[key]), abs=1e-6)


def test_an_older_run_is_calibrated_when_it_is_evaluated(
    plain: RunFolder,
    calibrated: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["evaluate", f"run={plain.path}", "calibrate=true", "accelerator=cpu"]
    assert run([*words, "hydra.run.dir=now"]) == 0
    now = json.loads((tmp_path / "now/metrics.json").read_text())
    for key in ("temperature", "test/ece", "uncalibrated/ece"):
        assert now[key] == calibrated.metrics[key]
    assert graft.load(plain.path).temperature == 1
    capsys.readouterr()
    assert run([*words, "split=val"]) == 2
    error = capsys.readouterr().err
    assert "split=val would test on them" in error
    assert error.count("\n") == 1


def test_without_validation_it_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "train",
        "data=digits",
        "data.val_fraction=0",
        "calibrate=true",
        f"hydra.run.dir={tmp_path / 'x'}",
    ]
    assert run(words) == 2
    assert "calibrate=true fits on validation images" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
