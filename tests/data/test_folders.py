"""A folder a class: the three layouts, and every way in which a folder can be wrong."""

import pytest

from graft.data import image_folder
from graft.errors import GraftError


def refused(root, *words):
    with pytest.raises(GraftError) as caught:
        image_folder(str(root))
    text = str(caught.value)
    assert text.startswith(f"data.root={root}")
    assert "\n" not in text
    for word in words:
        assert word in text


def test_classes_at_the_top(tree):
    data = image_folder(str(tree({"bees": 2, "ants": 3})))
    assert list(data.parts) == ["all"]
    assert data.class_names == ["ants", "bees"]
    assert data.images.names == ["ants/00.png", "ants/01.png", "ants/02.png", "bees/00.png", "bees/01.png"]
    assert data.images.labels.tolist() == [0, 0, 0, 1, 1]
    assert data.images[4].getpixel((0, 0)) == (1, 0, 100)
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


def test_hidden_files_and_other_files_are_left_out_and_counted(tree, paint):
    root = tree({"train/a": 1, "train/b": 1, "test/a": 1})
    (root / "train" / "a" / "notes.txt").touch()
    (root / "readme.md").touch()
    paint(root / "train" / "a" / "._00.png")
    paint(root / "train" / "loose.png")
    paint(root / "train" / "a" / ".thumbnails" / "x.png")
    paint(root / ".cache" / "a" / "x.png")
    paint(root / "extra" / "x.png")
    data = image_folder(str(root))
    assert data.images.names == ["train/a/00.png", "train/b/00.png", "test/a/00.png"]
    assert data.notes[0] == "ignored what lies beside the parts: extra"
    assert data.notes[1] == "ignored files that are no images of a class: 4, such as readme.md"
    assert data.notes[2] == "test has no images of b"


def test_an_empty_class_folder_is_named(tree):
    refused(tree({"train/a": 1, "train/b": 0, "test/a": 1}), "train/b", "no images")
    refused(tree({"train/b": 1, "test/b": 0}), "test/b", "no images")


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
    refused(root.parent / "fotos", "no folder fotos", "did you mean photos?")
    refused(root.parent / "fotos" / "train", "no folder fotos", "did you mean photos?")
    refused(paint(root.parent / "x.png"), "is a file")
