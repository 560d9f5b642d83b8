"""What is recorded holds in any working folder: paths are absolute, those of the user's own parts too."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graft.composition.composing import compose
from graft.configuration.locating import located
from graft.configuration.run_config import RunConfig

CONFIG = RunConfig.of(compose("train", [])[0])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a few things in it."""
    for name in ("photos", "train", "checkpoints", "model"):
        (tmp_path / name).mkdir()
    for name in ("labels.csv", "w.pth", "photos/list.txt", "resnet18"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_our_paths_become_absolute_where_they_are_there(folder: Path) -> None:
    data = {"_target_": "graft.sources.csv_manifest", "file": "labels.csv", "root": "photos", "name": "train"}
    config = replace(
        CONFIG,
        data=data,
        backbone={**CONFIG.backbone, "weights": "w.pth:ema"},
        distill=replace(CONFIG.distill, teacher="model"),
        cache=replace(CONFIG.cache, dir="nowhere"),
    )
    found = located(config)
    assert found.data == {**data, "file": str(folder / "labels.csv"), "root": str(folder / "photos")}
    assert found.backbone["weights"] == f"{folder / 'w.pth'}:ema"
    assert (found.distill.teacher, found.cache.dir) == (str(folder / "model"), "nowhere")
    assert located(found) == found
    # The one that it was made from is as it was.
    assert config.data["file"] == "labels.csv"


@pytest.mark.parametrize(
    ("key", "given", "is_path"),
    [
        ("images", "photos/list.txt", True),
        ("images", "./photos", True),
        ("labels", "labels.csv", True),
        ("image_folder", "photos", True),
        ("lists", ["labels.csv", "none.csv"], True),
        ("weights", "w.pth:ema", True),
        ("nested", {"paths": ["photos"]}, True),
        ("split", "train", False),
        ("network", "resnet18", False),
        ("images", "none/list.txt", False),
        ("dirpath", "checkpoints", False),
        ("prompt", "a. " * 2000, False),
        ("text", "a.\0", False),
        ("count", 3, False),
    ],
)
def test_paths_of_a_part_of_the_users_own(folder: Path, key: str, given: Any, is_path: bool) -> None:
    own = {"_target_": "mypkg.part", key: given}
    config = replace(CONFIG, data=own, augment={**CONFIG.augment, "policy": own}, callbacks={"mine": own})
    found = located(config)
    assert (str(folder) in repr(found.data[key])) is is_path
    assert (found.data == own) is not is_path
    assert found.augment["policy"] == found.callbacks["mine"] == found.data


def test_words_of_parts_that_come_with_graft_stay(folder: Path) -> None:
    (folder / "val").mkdir()
    (folder / "val" / "loss").touch()
    assert located(CONFIG) == CONFIG
