"""Images that moved, were named otherwise, or were seen before: known by what they hold, in every command."""

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import graft
from graft.cli.console import run
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv

SMALL = ["backbone=simple_cnn", "threads=1", "trainer=cpu", "logger=none", "data.num_workers=0"]


def seen(folder: Path) -> dict[str, Any]:
    metrics = json.loads((folder / "metrics.json").read_text())
    return {key: value for key, value in metrics.items() if key.startswith("seen/")}


def predictions(folder: Path) -> str:
    return (folder / "predictions.csv").read_text()


def other_images(root: Path, classes: tuple[str, ...], count: int) -> Path:
    for name in classes:
        (root / name).mkdir(parents=True)
        for index in range(count):
            stream = np.random.default_rng([index, *name.encode()])
            pixels = stream.integers(0, 255, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index:02d}.png")
    return root


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("words", [["data.root=elsewhere"], ["data=image_folder", "data.root=elsewhere"]])
def test_a_run_is_tested_on_its_own_images_at_another_place(
    words: list[str], trained: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was: unknown key data.root with this data; it belongs to data=image_folder."""
    shutil.copytree(photos, tmp_path / "elsewhere")
    assert run(["evaluate", f"run={trained}", *words, "accelerator=cpu", "hydra.run.dir=again"]) == 0
    assert "the run's own images, known by content" in capsys.readouterr().out
    assert predictions(tmp_path / "again") == predictions(trained)
    assert seen(tmp_path / "again") == seen(trained) == {"seen/train": 0, "seen/val": 0}


def test_images_that_were_parted_and_named_anew_are_still_the_runs_own(
    trained: Path, photos: Path, tmp_path: Path
) -> None:
    for row in read_csv(trained / "split.csv"):
        # All that it trained on is now the test part.
        part = "test" if row["split"] == "train" else "train"
        target = tmp_path / "parted" / part / row["label"] / f"new-{Path(row['name']).name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / row["name"], target)
    words = [f"run={trained}", "data.root=parted", "accelerator=cpu"]
    assert run(["evaluate", *words, "hydra.run.dir=again"]) == 0
    before = [row["p_red"] for row in read_csv(trained / "predictions.csv")]
    assert [row["p_red"] for row in read_csv(tmp_path / "again/predictions.csv")] == pytest.approx(before)
    assert seen(tmp_path / "again")["seen/train"] == 0


def test_only_images_that_the_model_has_not_seen_are_tested_unless_all_are_asked_for(
    trained: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = read_csv(trained / "split.csv")
    other_images(tmp_path / "mixed", ("red", "blue", "green"), 3)
    for row in rows:
        shutil.copy(photos / row["name"], tmp_path / "mixed" / row["label"] / f"x{Path(row['name']).name}")
    (tmp_path / "mixed/red/x00.png").rename(tmp_path / "mixed/red/zz.png")
    counts = {split: sum(row["split"] == split for row in rows) for split in ("train", "val", "test")}
    words = ["evaluate", f"run={trained}", "data=image_folder", "data.root=mixed", "accelerator=cpu"]
    assert run([*words, "hydra.run.dir=unseen"]) == 0
    out = capsys.readouterr().out
    left = f"the model has seen: {counts['train']} in training and {counts['val']} in validation (split=all"
    assert left in out
    assert "warning" not in out
    assert len(read_csv(tmp_path / "unseen/predictions.csv")) == 9 + counts["test"]
    assert seen(tmp_path / "unseen") == {"seen/train": 0, "seen/val": 0}
    assert run([*words, "split=all", "hydra.run.dir=all"]) == 0
    assert f"warning: {counts['train']} of these 45 images are seen in training" in capsys.readouterr().out
    assert len(read_csv(tmp_path / "all/predictions.csv")) == 45
    assert seen(tmp_path / "all") == {"seen/train": counts["train"], "seen/val": counts["val"]}
    # Where nothing unseen is left, there is no test.
    for row in rows:
        if row["split"] != "train":
            (tmp_path / "mixed" / row["label"] / f"x{Path(row['name']).name}").unlink(missing_ok=True)
    shutil.rmtree(tmp_path / "mixed/blue")
    for path in (tmp_path / "mixed").glob("*/[0-9z]*.png"):
        path.unlink()
    assert run([*words, "hydra.run.dir=none"]) == 2
    assert "there are no such images" in capsys.readouterr().err


def test_other_pictures_under_the_runs_own_names_are_not_the_runs_own(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other_images(tmp_path / "fake", ("red", "blue", "green"), 12)
    words = [f"run={trained}", "data.root=fake", "accelerator=cpu"]
    assert run(["evaluate", *words, "hydra.run.dir=out"]) == 0
    assert "every image is tested" in capsys.readouterr().out
    assert len(read_csv(tmp_path / "out/predictions.csv")) == 36


def test_what_a_model_has_seen_goes_with_its_bundle_and_is_said_by_predict(
    trained: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "model", tmp_path / "model")
    tested = len(read_csv(trained / "predictions.csv"))
    words = ["evaluate", "run=model", "data=image_folder", f"data.root={photos}", "accelerator=cpu"]
    assert run([*words, "hydra.run.dir=out"]) == 0
    assert len(read_csv(tmp_path / "out/predictions.csv")) == tested
    assert run(["predict", "run=model", f"source={photos}", "accelerator=cpu", "hydra.run.dir=said"]) == 0
    trains = sum(row["split"] == "train" for row in read_csv(trained / "split.csv"))
    assert f"warning: {trains} of these 36 images are seen in training and " in capsys.readouterr().out
    # A model of an older Graft has no record, which is said.
    (tmp_path / "model/seen.csv").unlink()
    assert run([*words, "hydra.run.dir=unknown"]) == 0
    assert "has no record of the images that its model has seen" in capsys.readouterr().out
    assert len(read_csv(tmp_path / "unknown/predictions.csv")) == 36
    assert seen(tmp_path / "unknown") == {}
    assert run(["evaluate", "run=model", f"data.root={photos}"]) == 2
    assert "has no data of its own; give data=… too" in capsys.readouterr().err


def test_copies_in_training_and_what_the_source_was_trained_on_are_told(
    trained: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same images under another seed of the split: some that test were trained on by the source."""
    words = ["data=image_folder", f"data.root={photos}", "data.split_seed=1", "trainer.max_epochs=1", *SMALL]
    folder = graft.train([*words, f"backbone.weights={trained}", "hydra.run.dir=next"])
    before = {row["name"]: row["split"] for row in read_csv(trained / "split.csv")}
    tested = [before[row["path"]] for row in read_csv(folder.predictions)]
    expected = {f"seen/{split}": tested.count(split) for split in ("train", "val")}
    assert seen(folder.path) == expected
    assert expected["seen/train"] > 0
    line = f"warning: {expected['seen/train']} of the {len(tested)} test images are seen"
    assert line in folder.log.read_text()
    capsys.readouterr()
    assert run(["evaluate", "run=next", "accelerator=cpu", "hydra.run.dir=again"]) == 0
    assert seen(tmp_path / "again") == expected
    assert f"warning: {expected['seen/train']} of these {len(tested)} images" in capsys.readouterr().out


@pytest.fixture(scope="module")
def words(photos: Path) -> list[str]:
    short = ["freeze=frozen", "data.batch_size=8", "trainer.max_epochs=2", "callbacks.last.minutes=0.0"]
    return ["data=image_folder", f"data.root={photos}", *SMALL, *short]


@pytest.fixture(scope="module")
def whole(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return graft.train([*words, f"hydra.run.dir={tmp_path_factory.mktemp('whole')}/run"])


@pytest.mark.parametrize("kind", ["", "data=image_folder"])
@pytest.mark.parametrize("older", [False, True])
def test_a_run_goes_on_with_the_same_images_at_another_place(
    kind: str, older: bool, words: list[str], whole: RunFolder, photos: Path, tmp_path: Path,
    cut_at: Callable[[int], AbstractContextManager[None]], capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    images = tmp_path / "images"
    shutil.copytree(photos, images)
    with cut_at(3):
        graft.train([*words, f"data.root={images}", "hydra.run.dir=run"])
    folder = RunFolder.open(tmp_path / "run")
    if older:
        rows = read_csv(folder.split)
        write_csv(folder.split, [{key: row[key] for key in ("name", "label", "split")} for row in rows])
    images.rename(tmp_path / "moved")
    assert run(["train", "resume=run"]) == 2
    assert "; if the images have moved, data.root=… says where they are" in capsys.readouterr().err
    resume = ["train", "resume=run", *([kind] if kind else [])]
    (tmp_path / "more").mkdir()
    shutil.copytree(photos, tmp_path / "more", dirs_exist_ok=True)
    shutil.copy(photos / "red/00.png", tmp_path / "more/red/new.png")
    assert run([*resume, "data.root=more"]) == 2
    error = capsys.readouterr().err
    assert "1 images of the data are not listed, such as red/new.png; a run goes on with the images" in error
    # Other pictures under the same names are not what the run goes on with.
    other_images(images, ("red", "green", "blue"), 12)
    assert run([*resume, f"data.root={images}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    answers = ["is another image than the one that", "the images, or their split, are not those of"]
    assert answers[older] in error
    assert run([*resume, "data.root=moved", "data.batch_size=4"]) == 2
    assert "data.batch_size cannot change" in capsys.readouterr().err
    assert run([*resume, "data.root=gone"]) == 2
    assert run([*resume, "data.root=moved"]) == 0
    assert (folder.bundle / "model.safetensors").read_bytes() == (
        whole.bundle / "model.safetensors"
    ).read_bytes()
    assert predictions(folder.path) == predictions(whole.path)
    assert folder.read_config()["data"]["root"] == str(tmp_path / "moved")
    assert folder.split.read_text() == whole.split.read_text()


def test_the_split_of_a_run_that_goes_on_is_the_one_that_it_recorded(
    words: list[str], tmp_path: Path, cut_at: Callable[[int], AbstractContextManager[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """However another version of Graft would draw it."""
    with cut_at(3):
        graft.train([*words, "hydra.run.dir=run"])
    before = RunFolder(tmp_path / "run").split.read_text()
    monkeypatch.setattr("graft.training.assembly.split_data", lambda *_: pytest.fail("drawn again"))
    folder = graft.train(["resume=run"])
    assert folder.split.read_text() == before
    assert folder.status()["status"] == "finished"


def test_a_manifest_and_a_cross_validation_move_too(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(photos, tmp_path / "far/images")
    names = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    write_csv(tmp_path / "far/list.csv", [{"path": f"images/{n}", "label": n.split("/")[0]} for n in names])
    words = ["data=csv", "data.file=far/list.csv", "folds=2", "trainer.max_epochs=1", "freeze=frozen", *SMALL]
    assert run(["crossval", *words, "hydra.run.dir=whole"]) == 0
    shutil.copytree(tmp_path / "whole", tmp_path / "part")
    shutil.rmtree(tmp_path / "part/fold-2")
    (tmp_path / "far").rename(tmp_path / "near")
    assert run(["evaluate", "run=whole/fold-1", "data.file=near/list.csv", "hydra.run.dir=again"]) == 0
    assert predictions(tmp_path / "again") == predictions(tmp_path / "whole/fold-1")
    capsys.readouterr()
    assert run(["crossval", "resume=part"]) == 2
    assert run(["crossval", "resume=part", "data.file=near/list.csv", "folds=3"]) == 2
    assert run(["crossval", "resume=part", "data.file=near/list.csv"]) == 0
    assert (tmp_path / "part/crossval.csv").read_text() == (tmp_path / "whole/crossval.csv").read_text()
    assert run(["crossval", "resume=nowhere", "data.file=near/list.csv"]) == 2
    assert "resume=nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("folders", "tested"),
    [
        ({"test/red": 3, "test/blue": 2}, 5),
        ({"red": 4}, 4),
        ({"red": 4, "green": 0}, 4),
        ({"train/green": 2, "test/blue": 3}, 3),
    ],
)
def test_a_test_needs_images_and_known_classes_and_no_more(
    folders: dict[str, int], tested: int, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, count in folders.items():
        (tmp_path / "T" / folder).mkdir(parents=True)
        for index in range(count):
            pixels = np.full((40, 48, 3), 10 * index + len(folder), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "T" / folder / f"{index}.png")
    words = [f"run={trained}", "data=image_folder", "data.root=T", "accelerator=cpu"]
    assert run(["evaluate", *words, "hydra.run.dir=out"]) == 0
    assert len(read_csv(tmp_path / "out/predictions.csv")) == tested
    said = "the class folder green holds no images" in capsys.readouterr().out
    assert said == (folders.get("green") == 0)
    assert run(["extract", *words, "hydra.run.dir=features"]) == 0
    assert len(read_csv(tmp_path / "features/features.csv")) == sum(folders.values())
    assert run(["inspect", "data=image_folder", "data.root=T", "near=null", "hydra.run.dir=looked"]) == 0
    capsys.readouterr()
    assert run(["train", "data=image_folder", "data.root=T", *SMALL, "hydra.run.dir=no"]) == 2
    assert capsys.readouterr().err.startswith("graft: data.root=T: ")
    (tmp_path / "T/zebra").mkdir()
    if "red" in folders:
        shutil.copy(tmp_path / "T/red/0.png", tmp_path / "T/zebra/0.png")
        assert run(["evaluate", *words, "hydra.run.dir=unknown"]) == 2
        assert "data has the class zebra, which the model does not know" in capsys.readouterr().err
