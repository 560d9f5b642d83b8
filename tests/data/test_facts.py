"""What is counted, and what a fingerprint notices."""

import numpy as np
import pytest

from graft.data import SampleData, SampleError, array_images, data_facts, split
from graft.sources import image_folder


def make(class_names=("a", "b"), names="wxyz", labels=(0, 1, 0, 1), pixels=(1, 2, 3, 4)):
    array = np.array(pixels, np.uint8)[:, None, None].repeat(2, 1).repeat(2, 2)
    train = array_images(list(names), list(labels), array)
    test = array_images(["s", "t"], [0, 1], array[:2])
    return SampleData(list(class_names), {"train": train, "test": test})


def test_counts():
    facts = data_facts(data := make(labels=(0, 1, 0, 0)), split(data, val_fraction=0, fraction=0.5))
    assert facts.class_names == ["a", "b"]
    assert facts.channels == 3
    assert facts.counts == {"train": {"a": 2, "b": 1}, "val": {"a": 0, "b": 0}, "test": {"a": 1, "b": 1}}


def fingerprint(data, **asked):
    return data_facts(data, split(data, val_fraction=0, **asked)).fingerprint


def test_the_same_data_has_the_same_fingerprint():
    assert fingerprint(make()) == fingerprint(make())
    assert len(fingerprint(make())) == 64


@pytest.mark.parametrize(
    "changed",
    [{"class_names": ("a", "c")}, {"names": "wxyq"}, {"labels": (1, 1, 0, 0)}, {"pixels": (1, 2, 3, 5)}],
)
def test_other_classes_names_labels_or_content(changed):
    assert fingerprint(make()) != fingerprint(make(**changed))


def test_another_split():
    assert fingerprint(make()) != fingerprint(make(), shots=1)


def test_files(tree, paint):
    root = tree({"a": 4, "b": 4})
    before = fingerprint(image_folder(str(root)), test_fraction=0.5)
    assert before == fingerprint(image_folder(str(root)), test_fraction=0.5)
    paint(root / "b" / "03.png", (9, 9, 9))
    assert before != fingerprint(image_folder(str(root)), test_fraction=0.5)
    data = image_folder(str(root))
    (root / "b" / "03.png").unlink()
    with pytest.raises(SampleError, match=r"03\.png"):
        fingerprint(data, test_fraction=0.5)
