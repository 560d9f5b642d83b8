"""`graft inspect` tells what is wrong with images, and with `strict` by its exit status."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from graft.cli.console import run
from graft.runs.files import read_csv

FILES = {"inspect.md", "inspect.json", "images.csv", "classes.csv", "sheet.png"}


@pytest.fixture
def copied(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos in parts that have nothing in common."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "copied"
    for index, path in enumerate(sorted(photos.rglob("*.png"))):
        target = root / ("test" if index % 4 == 0 else "train") / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return root


def inspected(root: Path, *words: str, status: int = 0, out: str = "out") -> dict[str, Any]:
    data = ["data=image_folder", f"data.root={root}"]
    assert run(["inspect", *data, *words, f"hydra.run.dir={out}"]) == status
    found: dict[str, Any] = json.loads((Path(out) / "inspect.json").read_text())
    return found


def test_sound_images_pass(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = inspected(copied, "strict=true")
    assert {path.name for path in Path("out").iterdir()} == FILES
    assert (found["images"], found["leaks"], found["unreadable"]) == (36, False, 0)
    assert found["splits"] == {"train": 21, "val": 6, "test": 9, "unused": 0}
    row = read_csv(Path("out/images.csv"))[0]
    assert (row["path"], row["label"], row["mode"], row["reason"]) == ("train/blue/01.png", "blue", "RGB", "")
    assert (row["width"], row["height"]) == ("48", "40")
    assert list(read_csv(Path("out/classes.csv"))[0].values()) == ["blue", "7", "2", "3", "12"]
    said = capsys.readouterr().out
    assert "note: every class has 12 images" in said
    assert said.splitlines()[-1].endswith("out/inspect.md")


def test_the_splits_are_those_of_a_run(copied: Path) -> None:
    words = ["data=image_folder", f"data.root={copied}", "data.split_seed=5"]
    quick = ["backbone.image_size=16", "trainer=cpu", "trainer.max_epochs=1", "logger=none"]
    assert run(["train", *words, *quick, "hydra.run.dir=trained"]) == 0
    inspected(copied, "data.split_seed=5")
    splits = {row["path"]: row["split"] for row in read_csv(Path("out/images.csv"))}
    assert splits == {row["name"]: row["split"] for row in read_csv(Path("trained/split.csv"))}


@pytest.mark.figures
def test_a_leak_is_told_and_fails_where_it_is_to(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = min((copied / "test/red").iterdir())
    Image.open(test).save(copied / "train/red/leak.bmp")
    found = inspected(copied, out="lenient")
    assert (found["leaks"], found["exact_copies"]) == (True, {"sets": 1, "images": 2})
    said = capsys.readouterr().out
    assert f"such as test/red/{test.name}, of train/red/leak.bmp" in said
    inspected(copied, "strict=true", status=1)
    assert capsys.readouterr().err == ""
    assert [(row["path"], row["kind"], row["leak"]) for row in read_csv(Path("out/copies.csv"))] == [
        ("train/red/leak.bmp", "exact", "True"),
        (f"test/red/{test.name}", "exact", "True"),
    ]
    assert {path.name for path in Path("out").iterdir()} == {*FILES, "copies.csv", "copies.png"}
    assert min(path.stat().st_size for path in Path("out").glob("*.png")) > 5000


def test_near_copies_leak_unless_none_are_looked_for(copied: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((200, 200), Image.Resampling.BICUBIC)
    image.save(copied / "train/red/one.png")
    image.resize((90, 90)).save(copied / "test/red/other.jpg", quality=50)
    assert inspected(copied, "strict=true", status=1)["near_copies"] == {"sets": 1, "images": 2}
    exact = inspected(copied, "strict=true", "near=null", out="exact")
    assert exact["near_copies"] == {"sets": 0, "images": 0}


def test_damage_is_listed_and_stops_nothing(copied: Path) -> None:
    (copied / "train/red/cut.png").write_bytes((copied / "train/blue/01.png").read_bytes()[:60])
    assert inspected(copied)["unreadable"] == 1
    (row,) = (row for row in read_csv(Path("out/images.csv")) if row["reason"])
    assert (row["path"], row["width"]) == ("train/red/cut.png", "")
    assert "cannot be read as an image" in row["reason"]
    assert "train/red/cut.png" in Path("out/inspect.md").read_text()


def test_what_cannot_be_split_is_looked_at_all_the_same(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, count in (("red", 3), ("blue", 1)):
        (tmp_path / "few" / name).mkdir(parents=True)
        for index in range(count):
            shutil.copy(photos / name / f"{index:02d}.png", tmp_path / "few" / name)
    found = inspected(tmp_path / "few", "strict=true")
    assert found["splits"] == {"train": 0, "val": 0, "test": 0, "unused": 4}
    assert "class blue has 1 image to divide" in capsys.readouterr().out


def test_every_image_damaged_is_no_crash(copied: Path) -> None:
    for path in copied.rglob("*.png"):
        path.write_bytes(b"")
    assert inspected(copied, "strict=true")["unreadable"] == 36
    assert "no image can be read" in Path("out/inspect.md").read_text()


def test_a_sweep_of_inspections_goes_on_after_a_leak(copied: Path) -> None:
    shutil.copy(min((copied / "test/red").iterdir()), copied / "train/red/leak.png")
    words = ["data=image_folder", f"data.root={copied}", "strict=true", "data.split_seed=1,2"]
    assert run(["inspect", "-m", *words, "hydra.sweep.dir=swept"]) == 1
    found = [json.loads(path.read_text()) for path in Path("swept").rglob("inspect.json")]
    assert [one["leaks"] for one in found] == [True, True]
