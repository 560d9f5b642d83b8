"""The samples of a target domain: in an order and a split that follow from their content alone."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from graft.data import SampleData, array_images
from graft.data.domains import TargetDomain, without_labels
from graft.errors import GraftError
from graft.sources.opening import open_data, split_data
from graft.sources.target import open_target

FOLDER = "graft.sources.image_folder"


@pytest.fixture
def source(photos: Path) -> SampleData:
    return open_data({"_target_": FOLDER, "root": str(photos)})


def opened(root: Path, source: SampleData, **keys: object) -> TargetDomain:
    return open_target({"_target_": FOLDER, "root": str(root), **keys}, source)


def contents(target: TargetDomain, split: str) -> list[bytes]:
    return [target.data.samples.digest(index) for index in target.splits[split]]


def test_order_and_split_are_those_of_the_contents(photos: Path, source: SampleData, tmp_path: Path) -> None:
    known = opened(photos, source)
    assert known.labels is not None
    names = known.data.samples.names
    assert [source.class_names[label] for label in known.labels] == [name.split("/")[0] for name in names]
    flat, permuted = tmp_path / "flat", tmp_path / "permuted"
    flat.mkdir()
    for number, path in enumerate(sorted(photos.rglob("*.png"))):
        shutil.copy(path, flat / f"{99 - number}.png")
        other = permuted / source.class_names[number % 3]
        other.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, other / f"{number}.png")
    for root in (flat, permuted):
        target = opened(root, source)
        for split in ("train", "val", "test"):
            assert contents(target, split) == contents(known, split)
        assert [target.data.samples.digest(i) for i in range(36)] == sorted(
            known.data.samples.digest(i) for i in range(36)
        )
    assert opened(flat, source).labels is None
    assert "target.split_seed=0" in known.splits.describe()


def test_nothing_of_the_samples_has_a_label(photos: Path, source: SampleData) -> None:
    target = opened(photos, source)
    assert set(target.data.samples.labels.tolist()) == {0}
    assert target.data.class_names == ["unlabelled"]
    assert not target.data.labelled
    # Only what is made for the test has them.
    assert target.labels is not None
    labelled = target.labelled(source.class_names)
    assert labelled.samples.labels.tolist() == target.labels.tolist()
    assert labelled.samples.names == target.data.samples.names


def test_parts_without_class_folders_are_parts(photos: Path, source: SampleData, tmp_path: Path) -> None:
    for number, path in enumerate(sorted(photos.rglob("*.png"))):
        place = tmp_path / ("test" if number % 3 == 0 else "train")
        place.mkdir(exist_ok=True)
        shutil.copy(path, place / f"{number}.png")
    target = opened(tmp_path, source)
    assert target.labels is None
    assert len(target.splits["test"]) == 12


def test_a_class_that_is_called_train_is_a_class(tmp_path: Path, photos: Path) -> None:
    for name in ("train", "bus"):
        shutil.copytree(photos / "red", tmp_path / name)
    source = open_data({"_target_": FOLDER, "root": str(tmp_path)})
    assert opened(tmp_path, source).labels is not None


def test_groups_stay_together_without_a_label() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 8, 8), dtype=np.uint8)
    groups = [f"patient{number // 4}" for number in range(40)]
    names = [f"{number:02d}" for number in range(40)]
    data = SampleData(["a", "b"], {"all": array_images(names, [0, 1] * 20, pixels)}, groups=groups)
    unlabelled, labels = without_labels(data)
    assert unlabelled.groups is not None
    group_of = dict(zip(names, groups, strict=True))
    assert [group_of[name] for name in unlabelled.samples.names] == unlabelled.groups
    assert [int(name) % 2 for name in unlabelled.samples.names] == labels.tolist()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"shots": 2}, "target.shots=2: it goes by labels"),
        ({"folds": 2, "fold": 1}, "target.folds=2: it goes by labels"),
        ({"_target_": "graft.sources.digits"}, "target has the class 0, which the source has not"),
    ],
)
def test_what_takes_labels_is_refused(
    photos: Path, source: SampleData, keys: dict[str, object], said: str
) -> None:
    node = {"_target_": FOLDER, "root": str(photos), **keys}
    if keys.get("_target_"):
        del node["root"]
    with pytest.raises(GraftError) as error:
        open_target(node, source)
    assert str(error.value).startswith(said)


def test_a_csv_without_a_column_of_classes_is_that_with_one(tmp_path: Path) -> None:
    rows = [(f"some words {number}", "no" if number % 3 else "yes") for number in range(30)]
    (tmp_path / "known.csv").write_text("\n".join(["text,label", *(f"{t},{c}" for t, c in rows)]))
    (tmp_path / "unknown.csv").write_text("\n".join(["text", *(text for text, _ in rows)]))
    node = {"_target_": "graft.sources.text_csv", "file": str(tmp_path / "known.csv")}
    source = open_data(node)
    known = open_target(node, source)
    unknown = open_target({**node, "file": str(tmp_path / "unknown.csv"), "label": None}, source)
    assert (known.labels is None, unknown.labels is None) == (False, True)
    for split in ("train", "val", "test"):
        assert contents(unknown, split) == contents(known, split)


def test_rows_of_a_table_and_paths_of_a_csv_need_no_classes(photos: Path, tmp_path: Path) -> None:
    node = table_node(tmp_path)
    (tmp_path / "unknown.csv").write_text("\n".join(["a", *map(str, range(20))]))
    table = open_target({**node, "file": str(tmp_path / "unknown.csv"), "label": None}, open_data(node))
    assert table.labels is None
    assert len(table.data.samples) == 20
    images = sorted(photos.rglob("*.png"))
    (tmp_path / "paths.csv").write_text("\n".join(["path", *map(str, images)]))
    listed = {"_target_": "graft.sources.csv_manifest", "file": str(tmp_path / "paths.csv"), "label": None}
    source = open_data({"_target_": FOLDER, "root": str(photos)})
    target = open_target(listed, source)
    assert target.labels is None
    assert contents(target, "test") == contents(opened(photos, source), "test")


def test_data_without_classes_is_nothing_to_learn_from(tmp_path: Path) -> None:
    (tmp_path / "unknown.csv").write_text("text\none\ntwo\n")
    data = open_data(
        {"_target_": "graft.sources.text_csv", "file": str(tmp_path / "unknown.csv"), "label": None}
    )
    with pytest.raises(GraftError, match=r"data.label=null: to learn takes labels"):
        split_data({}, data)
    assert not data.labelled


def test_a_folder_of_sounds_needs_no_class_folders(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    noise = np.random.default_rng(0)
    for number in range(12):
        for place in (tmp_path / "known" / f"class{number % 2}", tmp_path / "flat"):
            place.mkdir(parents=True, exist_ok=True)
            soundfile.write(place / f"{number}.wav", noise.normal(0, 0.1, 800), 8000)
    node = {"_target_": "graft.sources.audio_folder", "root": str(tmp_path / "known")}
    source = open_data(node)
    target = open_target({**node, "root": str(tmp_path / "flat")}, source)
    assert target.labels is None
    assert len(target.data.samples) == 12
    assert target.data.kind.noun == "sound"
    with pytest.raises(GraftError, match="target: it has sounds, and the source has rows"):
        open_target({**node, "root": str(tmp_path / "flat")}, open_data(table_node(tmp_path)))


def table_node(folder: Path) -> dict[str, object]:
    (folder / "table.csv").write_text("\n".join(["a,label", *(f"{n},{'xy'[n % 2]}" for n in range(20))]))
    return {"_target_": "graft.sources.table_csv", "file": str(folder / "table.csv")}
