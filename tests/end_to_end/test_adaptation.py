"""A source with labels and a target without them, from the command's words to what the run leaves."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import graft
from graft.adaptation.selection import SELECTORS
from graft.errors import GraftError
from graft.models import load_bundle
from graft.processes.interruption import Paused
from graft.runs import RunFolder
from graft.runs.files import read_csv
from graft.training.callbacks.checkpoint_files import load_checked

COLOURS = ("red", "green", "blue")
QUICK = ["trainer=cpu", "logger=none", "trainer.max_epochs=2", "data.batch_size=8", "target.batch_size=6"]
Trains = Callable[..., RunFolder]


def drawn(root: Path, seed: int, dark: int, count: int = 14) -> Path:
    """A folder of images by colour, darker by `dark`."""
    rng = np.random.default_rng(seed)
    for channel, name in enumerate(COLOURS):
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(0, 100, (16, 16, 3), dtype=np.uint8)
            pixels[..., channel] += 155 - dark
            Image.fromarray(pixels).save(root / name / f"{index:02d}.png")
    return root


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright images."""
    return drawn(tmp_path_factory.mktemp("domains") / "source", 0, 0)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark images."""
    return drawn(tmp_path_factory.mktemp("domains") / "target", 1, 100)


@pytest.fixture
def trains(source: Path, target: Path, tmp_path: Path) -> Trains:
    """Trains on the source with the target beside, in a folder of this name."""

    def train(name: str, *words: str, root: Path = target) -> RunFolder:
        data = ["data=image_folder", f"data.root={source}", "data@target=image_folder", f"target.root={root}"]
        return graft.train([*data, *QUICK, *words, f"hydra.run.dir={tmp_path / name}"])

    return train


def state(run: RunFolder) -> dict[str, Any]:
    checkpoint: dict[str, Any] = load_checked(run.checkpoints / "last.ckpt")
    return checkpoint


def same_weights(first: RunFolder, second: RunFolder) -> bool:
    one, other = state(first), state(second)
    pairs = [(one["state_dict"][key], other["state_dict"][key]) for key in one["state_dict"]]
    return one["state_dict"].keys() == other["state_dict"].keys() and all(
        torch.equal(*pair) for pair in pairs
    )


def scored(run: RunFolder) -> list[dict[str, str]]:
    """The epochs' rows but for what target labels say."""
    return [
        {key: v for key, v in row.items() if not key.startswith("oracle/")} for row in read_csv(run.epochs)
    ]


METHODS = ("coral", "dan", "dann", "cdan", "mcc", "afn", "self_training")


@pytest.mark.parametrize("method", ["dann", "self_training"])
def test_no_label_of_the_target_reaches_the_weights(
    trains: Trains, target: Path, tmp_path: Path, method: str
) -> None:
    permuted, absent = tmp_path / "permuted", tmp_path / "absent"
    absent.mkdir()
    for number, path in enumerate(sorted(target.rglob("*.png"))):
        (permuted / COLOURS[number % 3]).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, permuted / COLOURS[number % 3] / f"{path.parent.name}-{path.name}")
        shutil.copy(path, absent / f"{99 - number}.png")
    words = [f"adapt={method}", "adapt.select=infomax"]
    known = trains("known", *words)
    for name, root in (("permuted", permuted), ("absent", absent)):
        run = trains(f"run-{name}", *words, root=root)
        assert same_weights(known, run)
        assert scored(known) == scored(run)
        assert known.metrics["epoch"] == run.metrics["epoch"]
    assert "target/accuracy" in known.metrics
    assert run.metrics.keys() & {"target/accuracy", "oracle/accuracy"} == set()
    # Without labels there are predictions all the same.
    rows = read_csv(RunFolder(run.target).predictions)
    assert len(rows) == 9
    assert "label" not in rows[0]


@pytest.mark.parametrize(
    "method",
    [
        *("dann", "adabn", "none"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in METHODS if name != "dann"),
    ],
)
def test_a_run_that_was_cut_within_an_epoch_ends_with_the_same_bits(
    trains: Trains, cut_at: Callable[[int], AbstractContextManager[None]], tmp_path: Path, method: str
) -> None:
    batch_norm = ["backbone=timm", "backbone.name=test_resnet", "backbone.weights=null"]
    words = [f"adapt={method}", *(batch_norm if method == "adabn" else []), "callbacks.last.minutes=0.0"]
    words += ["augment=light", "adapt.epoch_of=target"]
    whole = trains("whole", *words)
    with cut_at(5):
        trains("cut", *words)
    resumed = graft.train([f"resume={tmp_path / 'cut'}"])
    assert same_weights(whole, resumed)
    assert read_csv(whole.epochs) == read_csv(resumed.epochs)
    ends = [{k: v for k, v in run.metrics.items() if k != "seconds"} for run in (whole, resumed)]
    assert ends[0] == ends[1]


@pytest.mark.parametrize("method", ["none", "coral"])
def test_a_frozen_backbone_adapts_on_stored_features_of_both(trains: Trains, method: str) -> None:
    words = [f"adapt={method}", "freeze=frozen", "optimizer.lr=0.01" if method == "coral" else "seed=0"]
    stored = trains("stored", *words)
    assert "cache: " in stored.log.read_text()
    computed = trains("computed", *words, "cache.features=off")
    for key in ("val/score", "val/loss", "scores/infomax", "oracle/accuracy"):
        one, other = ([float(row[key]) for row in read_csv(run.epochs)] for run in (stored, computed))
        assert one == pytest.approx(other, abs=1e-5), key
    assert stored.metrics["target/accuracy"] == computed.metrics["target/accuracy"]


def test_what_a_run_with_a_target_leaves(trains: Trains) -> None:
    run = trains("run", "adapt=mcc", "adapt.select=infomax")
    metrics, epochs = run.metrics, read_csv(run.epochs)
    assert {"test/accuracy", "target/accuracy", "target/accuracy_ci", "target/f1_macro"} <= metrics.keys()
    assert {f"scores/{name}" for name in SELECTORS} <= epochs[0].keys()
    assert [row["val/score"] for row in epochs] == [row["scores/infomax"] for row in epochs]
    best = max(range(len(epochs)), key=lambda epoch: float(epochs[epoch]["val/score"]))
    assert metrics["epoch"] == best
    known = [float(row["oracle/accuracy"]) for row in epochs]
    assert (metrics["oracle/accuracy"], metrics["oracle/best_accuracy"]) == (known[best], max(known))
    # Each loss is a term of its own, and the source's stays what it is.
    assert 0 < float(epochs[0]["adapt/confusion"]) < 1
    assert run.domains_figure.is_file()
    # What the bundle says of the target's test samples is what was measured there.
    inner = read_csv(RunFolder(run.target).predictions)
    right = sum(row["label"] == row["predicted"] for row in inner) / len(inner)
    assert right == pytest.approx(metrics["target/accuracy"])
    # The split is recorded without labels.
    assert {row["label"] for row in read_csv(run.target_split)} == {"unlabelled"}


def test_the_target_sees_its_own_statistics(trains: Trains, target: Path) -> None:
    words = ["backbone=timm", "backbone.name=test_resnet", "backbone.weights=null", "backbone.image_size=32"]
    run = trains("run", "adapt=adabn", *words, "callbacks=none")
    loaded = load_bundle(run.path)
    layers = [layer for layer in loaded.backbone.modules() if isinstance(layer, nn.BatchNorm2d)]
    recorded = {row["name"]: row["split"] for row in read_csv(run.target_split)}
    trained = [name for name, split in recorded.items() if split == "train"]
    with torch.no_grad():
        images = torch.stack([loaded.transform(Image.open(target / name).convert("RGB")) for name in trained])
        entered: list[torch.Tensor] = []
        layers[0].register_forward_pre_hook(lambda _, given: entered.append(given[0]))
        loaded.backbone.eval()(images)
    # Batches of one size, so their mean is the mean of all.
    assert torch.allclose(layers[0].running_mean, entered[0].mean((0, 2, 3)), atol=0.05)


def test_a_few_labels_go_on_where_the_adaptation_ended(trains: Trains, target: Path, tmp_path: Path) -> None:
    adapted = trains("adapted", "adapt=mcc")
    words = ["data=image_folder", f"data.root={target}", *QUICK[:3], "data.shots=1", "data.val_fraction=0"]
    words += [f"backbone.weights={adapted.path}", "head=source", "optimizer.lr=1e-9"]
    run = graft.train([*words, f"hydra.run.dir={tmp_path / 'few'}"])
    images = sorted(target.rglob("*.png"))
    before, after = (
        [one.probabilities for one in load_bundle(path).predict(images)] for path in (adapted.path, run.path)
    )
    assert np.allclose([list(p.values()) for p in before], [list(p.values()) for p in after], atol=1e-4)
    # A bundle is built without the source; a run that goes on asks for it again, and ends with the same bits.
    assert "graft.models.linear" in (run.path / "model" / "model.yaml").read_text()
    whole = graft.train([*words[:-1], f"hydra.run.dir={tmp_path / 'whole'}"])
    with pytest.raises(Paused):
        graft.train([*words[:-1], "stop_after=1", f"hydra.run.dir={tmp_path / 'paused'}"])
    assert same_weights(whole, graft.train([f"resume={tmp_path / 'paused'}"]))
    new = graft.train([*words[:-2], "optimizer.lr=1e-9", f"hydra.run.dir={tmp_path / 'new'}"])
    hint = "backbone.weights knows the same classes: head=source would"
    assert [hint in one.log.read_text() for one in (run, new)] == [False, True]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["adapt=dann"], "adapt=dann adapts to a target domain; name its samples"),
        (["data@target=digits", "target.shots=3"], "target.shots=3: it goes by labels"),
        (["data@target=digits", "callbacks=ema"], "callbacks=ema does not go with a target domain"),
        (["head=source"], "head=source goes on with the head of backbone.weights, and there are none"),
        (
            ["head=source", "backbone.weights=x", "freeze=frozen", "optimizer=lbfgs"],
            "optimizer=lbfgs solves the head at once and has no use for head=source",
        ),
        (["data@target=digits", "adapt=adabn"], "adapt=adabn: the backbone has no BatchNorm"),
        (
            ["data@target=digits", "adapt=mcc", "adapt.norm=separate"],
            "adapt.norm=separate: the backbone has no",
        ),
        (["data@target=digits", "adapt.select=best"], "adapt.select=best is wrong"),
        (["data@target=image_folder", "target.root=nowhere"], "target.root=nowhere: there is no such folder"),
        (["data@target=digits", "target.val_fraction=0"], "target.val_fraction leaves 0 validation samples"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(words: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(GraftError) as error:
        graft.train(
            ["data=digits", "trainer=cpu", "logger=none", *words, f"hydra.run.dir={tmp_path / 'run'}"]
        )
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
