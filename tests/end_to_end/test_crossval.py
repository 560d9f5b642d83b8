"""`graft crossval`: folds that partition the data, each a whole run of its own, and one table over them."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

import graft
from graft.cli.console import run
from graft.commands import train as train_command
from graft.errors import GraftError
from graft.features import sample_features
from graft.runs import RunFolder
from graft.runs.files import read_csv

SHORT = ["trainer=cpu", "trainer.max_epochs=2", "logger=none", "data.batch_size=8"]


@pytest.fixture(scope="module")
def crossed(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 folds of the photos, on a frozen backbone."""
    path = tmp_path_factory.mktemp("crossed") / "all"
    words = ["data=image_folder", f"data.root={photos}", "freeze=frozen", "calibrate=true", *SHORT]
    assert run(["crossval", *words, "folds=3", f"hydra.run.dir={path}"]) == 0
    return path


def test_folds_partition_the_data_and_are_whole_runs(crossed: Path, photos: Path) -> None:
    tested, begun = [], []
    for fold in (1, 2, 3):
        folder = RunFolder.open(crossed / f"fold-{fold}")
        assert folder.status()["status"] == "finished"
        config = folder.read_config()
        assert (config["data"]["folds"], config["data"]["fold"], config["seed"]) == (3, fold, 0)
        assert "folds" not in config
        assert "repeats" not in config
        rows = read_csv(folder.split)
        parts = {
            name: {row["name"] for row in rows if row["split"] == name} for name in ("train", "val", "test")
        }
        assert all(parts.values())
        assert set(read_csv(folder.freeze)[0])
        assert {row["path"] for row in read_csv(folder.predictions)} == parts["test"]
        tested += sorted(parts["test"])
        assert (folder.bundle / "model.safetensors").is_file()
        begun.append(read_csv(folder.epochs)[0]["trainable_parameters"])
    assert sorted(tested) == sorted(p.relative_to(photos).as_posix() for p in photos.rglob("*.png"))
    assert len(set(begun)) == 1


def test_the_folds_answer_as_one_model_to_what_none_has_seen(
    crossed: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = next(photos.rglob("*.png"))
    members = [graft.load(crossed / f"fold-{fold}").predict(image)[0] for fold in (1, 2, 3)]
    whole = graft.load(crossed).predict(image)[0]
    for name, probability in whole.probabilities.items():
        mean = np.mean([member.probabilities[name] for member in members])
        assert probability == pytest.approx(mean, abs=1e-6)
    # All of its own images were seen by some fold; others may be tested.
    assert run(["evaluate", f"run={crossed}", f"hydra.run.dir={tmp_path / 'own'}"]) == 2
    assert "that the model has seen" in capsys.readouterr().err
    for number, path in enumerate(sorted(photos.rglob("*.png"))[::4]):
        other = tmp_path / "new" / path.parent.name / f"{number}.png"
        other.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as opened:
            ImageOps.flip(opened).rotate(1).save(other)
    words = ["data=image_folder", f"data.root={tmp_path / 'new'}", "accelerator=cpu"]
    assert run(["evaluate", f"run={crossed}", *words, f"hydra.run.dir={tmp_path / 'new-test'}"]) == 0
    assert run(["predict", f"run={crossed}", f"source={image}", f"hydra.run.dir={tmp_path / 'said'}"]) == 0


def test_the_tables_are_those_of_the_folds(crossed: Path) -> None:
    rows = read_csv(crossed / "predictions.csv")
    assert len(rows) == len({row["path"] for row in rows}) == 36
    assert {row["fold"] for row in rows} == {"1", "2", "3"}
    folds = [RunFolder(crossed / f"fold-{fold}").metrics for fold in (1, 2, 3)]
    (accuracy,) = (row for row in read_csv(crossed / "crossval.csv") if row["metric"] == "accuracy")
    values = [fold["test/accuracy"] for fold in folds]
    assert float(accuracy["mean"]) == pytest.approx(np.mean(values))
    assert float(accuracy["deviation"]) == pytest.approx(np.std(values, ddof=1))
    right = sum(row["predicted"] == row["label"] for row in rows)
    assert float(accuracy["pooled"]) == right / 36
    pooled = json.loads((crossed / "metrics.json").read_text())
    assert pooled["test/accuracy"] == right / 36
    assert pooled["test/accuracy_ci"][0] == float(accuracy["pooled_low"])
    classes = read_csv(crossed / "per_class.csv")
    assert sum(int(row["support"]) for row in classes) == 36
    text = (crossed / "crossval.md").read_text()
    assert "36 images in 3 folds" in text
    for name in ("confusion_matrix", "precision_recall", "reliability"):
        assert (crossed / "figures" / f"{name}.png").is_file()


def test_folds_are_compared_as_runs(crossed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["compare", f"runs={crossed}", "over=[data.fold]", "hydra.run.dir=table"]) == 0
    (row,) = read_csv(tmp_path / "table/compare.csv")
    assert row["n"] == "3"


def test_a_frozen_backbone_is_extracted_once(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    inner = sample_features.extract

    def extract(run: Any, loader: Any, size: int, told: Any) -> Iterator[torch.Tensor]:
        counts.append(len(loader.dataset))
        return inner(run, loader, size, told)

    monkeypatch.setattr(sample_features, "extract", extract)
    monkeypatch.chdir(tmp_path)
    words = ["data=image_folder", f"data.root={photos}", "freeze=frozen", *SHORT, "cache.dir=cache"]
    assert run(["crossval", *words, "hydra.run.dir=out"]) == 0
    # Of the last fold's images each trained or validated in another.
    assert sum(counts) == 36


def test_repeats_cut_anew_with_the_same_seed(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["data=image_folder", f"data.root={photos}", "freeze=frozen", *SHORT, "trainer.max_epochs=1"]
    assert run(["crossval", *words, "folds=2", "repeats=2", "hydra.run.dir=out"]) == 0
    rows = read_csv(tmp_path / "out/predictions.csv")
    for repeat in ("1", "2"):
        assert len({row["path"] for row in rows if row["repeat"] == repeat}) == 36
    halves = [
        {row["path"] for row in rows if (row["repeat"], row["fold"]) == (repeat, "1")}
        for repeat in ("1", "2")
    ]
    assert halves[0] != halves[1]
    configs = [RunFolder(tmp_path / f"out/repeat-{r}-fold-1").read_config() for r in (1, 2)]
    assert [config["data"]["split_seed"] for config in configs] == [0, 1]
    assert [config["seed"] for config in configs] == [0, 0]
    assert read_csv(tmp_path / "out/crossval.csv")[0]["folds"] == "4"


def test_a_fold_that_fails_is_told_and_the_others_go_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    inner = train_command.fit

    def fit(config: Any, *args: Any) -> float:
        if config.data["fold"] == 2:
            raise GraftError("the training loss became nan")
        return inner(config, *args)

    monkeypatch.setattr(train_command, "fit", fit)
    words = ["data=image_folder", f"data.root={photos}", "freeze=frozen", *SHORT]
    assert run(["crossval", *words, "folds=3", "hydra.run.dir=out"]) == 1
    told = capsys.readouterr()
    assert "failed: repeat 1 fold 2: the training loss became nan" in told.out
    assert "Traceback" not in told.err
    assert RunFolder(tmp_path / "out/fold-2").status()["status"] == "failed"
    rows = read_csv(tmp_path / "out/crossval.csv")
    assert rows[0]["folds"] == "2"
    assert rows[0]["repeat 1 fold 2"] == ""
    assert len(read_csv(tmp_path / "out/predictions.csv")) == 24
    assert "failed: the training loss" in (tmp_path / "out/crossval.md").read_text()


def test_groups_stay_together(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "list.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "group"])
        for image in sorted(photos.rglob("*.png")):
            # Six photographs of each class in a series of pairs.
            writer.writerow([image, image.parent.name, f"series{int(image.stem) // 2}"])
    words = ["data=csv", "data.file=list.csv", "freeze=frozen", *SHORT, "trainer.max_epochs=1"]
    assert run(["crossval", *words, "folds=3", "hydra.run.dir=out"]) == 0
    for fold in (1, 2, 3):
        parts: dict[int, set[str]] = {}
        for row in read_csv(tmp_path / f"out/fold-{fold}/split.csv"):
            parts.setdefault(int(Path(row["name"]).stem) // 2, set()).add(row["split"])
        assert all(len(found) == 1 for found in parts.values())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["folds=1"], "folds=1 is wrong"),
        (["data.fold=1"], "data.fold is what graft crossval gives"),
        (["folds=400"], "too few for 400 folds"),
        (["backbone.weights=nowhere.pth"], "nowhere.pth"),
        (["resume=last"], "resume=last: there is no such folder"),
    ],
)
def test_wrong_words_are_answered_once_and_leave_nothing(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["crossval", "data=digits", *SHORT, *words, "hydra.run.dir=out"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
