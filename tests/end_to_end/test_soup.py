"""`graft soup`, `tta=` and a cross-validation's folder as one model: better from what is there."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import graft
from graft.cli.console import run
from graft.models.soup import Tried
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


@pytest.mark.slow
def test_a_soups_batch_statistics_are_those_of_its_own_weights(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean of two networks' running statistics fits neither of them, nor the mean of their weights."""
    words = ["data=image_folder", f"data.root={photos}", *SHORT, "backbone=mobilenet_v3_small"]
    words += ["backbone.weights=null", "backbone.image_size=32", "data.batch_size=100"]
    runs = [tmp_path / "runs" / name for name in ("slow", "fast")]
    for path, rate in zip(runs, (0.001, 0.05), strict=True):
        graft.train([*words, f"optimizer.lr={rate}", f"hydra.run.dir={path}"])
    # Both are taken, whatever validation says of them.
    both = [Tried(0, 0.5, True), Tried(1, 0.5, True)]
    monkeypatch.setattr("graft.commands.soup.greedy", lambda scores, score_of: both)
    soup = tmp_path / "soup"
    assert run(["soup", f"runs={tmp_path / 'runs'}", "accelerator=cpu", f"hydra.run.dir={soup}"]) == 0
    members, made = [graft.load(path).backbone for path in runs], graft.load(soup)
    convolution, norm = first_norm(made.backbone)
    mean = torch.stack([first_norm(member)[0].weight for member in members]).mean(0)
    torch.testing.assert_close(convolution.weight, mean)
    train = [row["name"] for row in read_csv(soup / "split.csv") if row["split"] == "train"]
    images = torch.stack([made.transform(made.kind.sample(str(photos / path), None)) for path in train])
    by_hand = convolution(images).mean((0, 2, 3)).detach()
    torch.testing.assert_close(norm.running_mean, by_hand, rtol=1e-3, atol=1e-4)
    averaged = torch.stack([first_norm(member)[1].running_mean for member in members]).mean(0)
    assert not torch.allclose(averaged, by_hand, rtol=1e-2, atol=1e-3)


def first_norm(backbone: nn.Module) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """The first BatchNorm of a network, and the convolution before it."""
    layers = list(backbone.modules())
    place = next(place for place, layer in enumerate(layers) if isinstance(layer, nn.BatchNorm2d))
    return layers[place - 1], layers[place]
