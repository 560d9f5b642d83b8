"""A folder a class: the layouts that people have, and every way in which a folder can be wrong."""

import os
import unicodedata

import numpy as np
import pytest

from graft.data import split
from graft.errors import GraftError
from graft.sources import image_folder


def refused(root, *words):
    with pytest.raises(GraftError) as caught:
        image_folder(str(root)).check_trainable()
    text = str(caught.value)
    assert text.startswith(f"data.root={root}")
    assert "\n" not in text
    for word in words:
        assert word in text


def test_classes_at_the_top(tree):
    data = image_folder(str(tree({"bees": 2, "ants": 3})))
    assert list(data.parts) == ["all"]
    assert data.class_names == ["ants", "bees"]
    assert data.samples.names == ["ants/00.png", "ants/01.png", "ants/02.png", "bees/00.png", "bees/01.png"]
    assert data.samples.labels.tolist() == [0, 0, 0, 1, 1]
    assert data.samples[4].getpixel((0, 0)) == (1, 0, 100)
    assert data.notes == []


@pytest.mark.parametrize(
    ("folder", "part"),
    [
        ("val", "val"),
        ("valid", "val"),
        ("validation", "val"),
        ("Val", "val"),
        ("test", "test"),
        ("TEST", "test"),
        ("Testing", "test"),
        ("dev", "val"),
        ("eval", "val"),
        ("test_images", "test"),
    ],
)
def test_train_and_one_other(tree, folder, part):
    root = tree({"train/a": 2, "train/b": 1, f"{folder}/a": 1, f"{folder}/b": 1})
    data = image_folder(str(root))
    assert list(data.parts) == ["train", part]
    assert data.parts[part].names == [f"{folder}/a/00.png", f"{folder}/b/00.png"]


def test_train_val_and_test(tree):
    layout = {f"{part}/{name}": 1 for part in ("test", "val", "train") for name in ("a", "b")}
    assert list(image_folder(str(tree(layout))).parts) == ["train", "val", "test"]


def test_train_alone(tree):
    assert list(image_folder(str(tree({"train/a": 1, "train/b": 1}))).parts) == ["train"]


def test_a_class_may_be_called_train(tree):
    data = image_folder(str(tree({"train": 2, "tram": 1})))
    assert data.class_names == ["train", "tram"]
    assert list(data.parts) == ["all"]


def test_class_order_comes_from_train_and_a_class_missing_elsewhere_renumbers_nothing(tree):
    data = image_folder(str(tree({"train/a": 1, "train/b": 1, "train/c": 1, "val/c": 2, "val/a": 1})))
    assert data.class_names == ["a", "b", "c"]
    assert data.parts["val"].labels.tolist() == [0, 2, 2]
    assert data.notes == ["val has no images of b"]


def test_a_class_that_train_lacks(tree):
    refused(tree({"train/a": 1, "train/b": 1, "val/a": 1, "val/wasps": 1}), "val", "train lacks", "wasps")


def test_what_lies_deeper_counts_and_case_does_not_matter(tree, paint):
    root = tree({"a": 1, "b": 1})
    paint(root / "a" / "2024" / "may" / "X.PNG")
    assert image_folder(str(root)).parts["all"].names == ["a/00.png", "a/2024/may/X.PNG", "b/00.png"]


def test_every_file_is_used_or_told(tree, paint):
    root = tree({"train/a": 1, "train/b": 1, "test/a": 1})
    (root / "train" / "a" / "notes.txt").touch()
    (root / "readme.md").touch()
    (root / "train" / "a" / "x.heic").touch()
    paint(root / "train" / "a" / "._00.png")
    (root / "train" / "b" / "Thumbs.db").touch()
    (root / "test" / ".DS_Store").touch()
    paint(root / "__MACOSX" / "train" / "a" / "x.png")
    paint(root / "train" / "loose.png")
    paint(root / "train" / "a" / ".thumbnails" / "x.png")
    paint(root / ".cache" / "a" / "x.png")
    paint(root / "extra" / "x.png")
    data = image_folder(str(root))
    assert data.samples.names == ["train/a/00.png", "train/b/00.png", "test/a/00.png"]
    assert data.notes == [
        "ignored what lies beside the parts: extra",
        "ignored images that lie in no class folder: 1, such as train/loose.png",
        "left out: 3 files that are no images that Pillow decodes (.md 1, .txt 1, .heic 1), "
        "such as readme.md",
        "left out: 6 hidden or system files and folders, such as .cache",
        "test has no images of b",
    ]


def test_an_empty_class_folder_is_named(tree):
    refused(tree({"train/a": 1, "train/b": 0, "test/a": 1}), "train/b", "no images")
    refused(tree({"train/b": 1, "test/b": 0}), "test/b", "no images")


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        ({"test/a": 2, "test/b": 1}, ["a", "b"]),
        ({"val/b": 2, "test/a": 1}, ["a", "b"]),
        ({"a": 3}, ["a"]),
        ({"a": 3, "b": 0}, ["a"]),
        ({"train/a": 1, "train/b": 1, "test/wasps": 1}, ["a", "b", "wasps"]),
    ],
)
def test_what_cannot_train_may_be_tested(tree, folders, names):
    data = image_folder(str(tree(folders)))
    assert data.class_names == names
    assert len(data.samples) == sum(folders.values())
    assert ("the class folder b holds no images" in data.notes) == (folders.get("b") == 0)
    with pytest.raises(GraftError, match=r"^data\.root="):
        split(data)
    assert data.relabelled(np.arange(len(names)), names).untrainable == data.untrainable


def test_one_class_only(tree):
    refused(tree({"train/a": 3, "test/a": 1}), "one class only, a")


def test_nothing_to_learn_from(tree, tmp_path, paint):
    refused(tree({"test/a": 1, "test/b": 1}), "test found, but no train")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no images")
    paint(tmp_path / "flat" / "x.png")
    refused(tmp_path / "flat", "1 images lie outside")


def test_two_names_for_one_part(tree):
    refused(tree({"train/a": 1, "train/b": 1, "val/a": 1, "valid/a": 1}), "val and valid both mean val")


def test_a_folder_that_is_not_there(tree, paint):
    root = tree({"a": 1, "b": 1})
    refused(root.parent / "fotos", "has no fotos", "did you mean photos?")
    refused(root.parent / "fotos" / "train", "has no fotos", "did you mean photos?")
    refused(paint(root.parent / "x.png"), "is a file")


@pytest.mark.parametrize(
    "names",
    [
        {"Training": "train", "Testing": "test"},
        {"seg_train/seg_train": "train", "seg_test/seg_test": "test"},
        {"training_set": "train", "test_set": "test"},
        {"asl_alphabet_train": "train", "asl_alphabet_test": "test"},
        {"train": "train", "eval": "val", "test": "test"},
        {"train": "train", "val": "val", "eval": "test"},
        {"archive/archive/train": "train", "archive/archive/test": "test"},
        {"chest/chest/train": "train", "chest/chest/dev": "val", "chest/chest/holdout": "test"},
    ],
)
def test_the_usual_words_for_parts(tree, names):
    data = image_folder(str(tree({f"{folder}/{name}": 2 for folder in names for name in ("x", "y")})))
    assert data.class_names == ["x", "y"]
    assert {part: len(images) for part, images in data.parts.items()} == dict.fromkeys(names.values(), 4)
    for folder, part in names.items():
        assert data.parts[part].names[0] == f"{folder}/x/00.png"


def test_doubled_folders_hold_the_classes(tree):
    data = image_folder(str(tree({"archive/archive/x": 1, "archive/archive/y": 1})))
    assert (data.class_names, list(data.parts)) == (["x", "y"], ["all"])
    assert data.notes == ["the folders of classes lie in archive/archive"]


def test_what_is_called_as_the_root_is_doubled_too(tree):
    data = image_folder(str(tree({"Photos/x": 1, "Photos/y": 1})))
    assert data.class_names == ["x", "y"]


def test_a_folder_of_another_name_may_be_the_only_class(tree):
    refused(tree({"ants/2023": 1, "ants/2024": 1}), "one class only, ants")


def test_words_of_parts_within_a_class_name_mean_nothing(tree):
    root = tree({"train_station/a": 1, "bus_station/b": 1, "test tube/c": 1})
    assert image_folder(str(root)).class_names == ["bus_station", "test tube", "train_station"]


def test_two_data_sets_side_by_side(tree):
    layout = {f"{name}_{part}/{label}": 1 for name in "ab" for part in ("train", "test") for label in "xy"}
    refused(tree(layout), "a_test and b_test both mean test")


def test_folders_in_between_are_refused_with_what_to_type(tree):
    root = tree({"Set1/x": 2, "Set1/y": 2, "Set2/x": 1, "Set2/y": 1})
    refused(root, "Set1 and Set2", "x and y", f"data.root={root}/Set1", "data.nested=true")
    assert image_folder(str(root), nested=True).class_names == ["Set1", "Set2"]


def test_parts_within_the_classes_are_refused(tree):
    root = tree({f"{name}/{part}": 1 for name in ("ants", "bees") for part in ("train", "test")})
    refused(root, "the parts lie in the classes, such as ants/test", "test/ants")


def test_folders_whose_names_do_not_recur_belong_to_their_class(tree, paint):
    root = tree({"ants/p1": 1, "ants/p2": 1, "bees/p3": 1, "bees/p4": 1, "bees/p1": 1})
    assert len(image_folder(str(root)).samples) == 5
    root = tree({"ants/2023": 1, "bees/2023": 1})
    paint(root / "ants" / "x.png")
    assert len(image_folder(str(root)).samples) == 8


def test_folders_of_grafts_own_are_never_data(tree, paint, monkeypatch):
    root = tree({"ants": 2, "bees": 2})
    run = root / "outputs" / "train" / "2026-11-26" / "10-00-00-x"
    paint(run / "figures" / "a.png")
    paint(root / "mine" / "figures" / "a.png")
    (root / "mine" / "status.json").touch()
    (root / "mine" / "config.yaml").touch()
    paint(root / "looked" / "once" / "sheet.png")
    (root / "looked" / "once" / "inspect.json").touch()
    (root / "looked" / "once" / "inspect.md").touch()
    paint(root / "cached" / "images" / "a.png")
    monkeypatch.setenv("GRAFT_CACHE_DIR", str(root / "cached"))
    monkeypatch.chdir(root)
    data = image_folder(".")
    assert data.class_names == ["ants", "bees"]
    assert len(data.samples) == 4
    assert data.notes == ["left out: 4 folders of Graft's own, such as cached"]
    refused("mine", "a folder that Graft wrote (it holds status.json and config.yaml)")


def test_a_loop_of_links_adds_nothing(tree):
    root = tree({"ants": 12, "bees": 12})
    (root / "bees" / "up").symlink_to("..")
    (root / "bees" / "ants").symlink_to("../ants")
    (root / "bees" / "again.png").symlink_to("00.png")
    (root / "round").symlink_to(".")
    data = image_folder(str(root))
    assert data.class_names == ["ants", "bees"]
    assert len(data.samples) == 24
    assert data.notes == ["left out: 4 links to what is found elsewhere, such as bees/again.png"]


def test_links_to_what_is_not_found_otherwise_are_followed(tree, paint):
    root = tree({"train/a": 1, "train/b": 1, "all": 2})
    paint(root.parent / "elsewhere" / "deep" / "x.png")
    (root / "train" / "a" / "all.png").symlink_to("../../all/00.png")
    (root / "train" / "b" / "more").symlink_to(root.parent / "elsewhere")
    (root / "train" / "c").symlink_to(root.parent / "elsewhere")
    with pytest.raises(GraftError, match="class folder train/c holds no images; left out there: links"):
        image_folder(str(root)).check_trainable()
    (root / "train" / "c").unlink()
    (root / "train" / "a" / "deep.png").symlink_to(root.parent / "elsewhere" / "deep" / "x.png")
    names = image_folder(str(root)).samples.names
    assert names == ["train/a/00.png", "train/a/all.png", "train/a/deep.png", "train/b/00.png"]


def test_what_cannot_be_listed_is_named(tree, monkeypatch):
    root = tree({"ants/a": 4, "ants/b": 4, "bees": 8})
    scandir = os.scandir

    def locked(path):
        if str(path).endswith("ants/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    refused(root, "ants/b cannot be listed (Permission denied)")


def test_one_class_in_two_spellings(tree):
    composed, apart = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
    root = tree({f"train/{composed}": 1, "train/Bar": 1, f"val/{apart}": 2, f"train/{apart}": 1})
    data = image_folder(str(root))
    assert data.class_names == ["Bar", composed]
    assert data.parts["train"].labels.tolist().count(1) == 2
    assert data.parts["val"].labels.tolist() == [1, 1]
    assert data.parts["val"][0].size == (12, 10)
