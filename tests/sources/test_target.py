"""The samples of a target domain: in an order and a split that follow from their content alone."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from graft.data import SampleData, array_images
from graft.data.domains import TargetDomain, without_labels
from graft.errors import GraftError
from graft.sources.opening import open_data
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
