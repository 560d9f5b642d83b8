"""What is found is said: leaks, warnings and notes, with numbers and an example."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graft.data import SampleData, array_images, file_images
from graft.data.splits import Splits, by_parts, from_lists
from graft.inspection.findings import Finding, find
from graft.inspection.inspection import Inspection, inspect_images


def data(*values: int, labels: list[int] | None = None, groups: list[str] | None = None) -> SampleData:
    """Images `i0`, `i1`, … of 4 x 4 noise, those of equal value equal; 0 is blank."""
    noise = {v: np.random.default_rng(v).integers(0, 256, (4, 4), dtype=np.uint8) for v in values}
    pixels = np.stack([noise[v] * (v > 0) for v in values])
    of = [0, 1] * (len(values) // 2) if labels is None else labels
    images = array_images([f"i{i}" for i in range(len(values))], of, pixels)
    return SampleData(["ant", "bee"], {"all": images}, groups=groups)


def apart(images: SampleData, train: list[int], val: list[int], test: list[int]) -> Splits:
    lists = {"train": train, "val": val, "test": test}
    return from_lists(images, {name: np.array(one, np.int64) for name, one in lists.items()}, "by hand")


def texts(inspection: Inspection, kind: str) -> list[str]:
    return [finding.text for finding in find(inspection) if finding.kind == kind]


def looked(images: SampleData, splits: Splits) -> Inspection:
    return inspect_images(images, splits, None, 1)


def test_an_image_of_two_splits_leaks_and_is_counted_in_the_later() -> None:
    images = data(1, 2, 3, 1, 1, 4, 2, 5)
    found = looked(images, apart(images, [0, 1, 2], [5, 6], [3, 4, 7]))
    assert texts(found, "leak") == [
        "1 of 2 val images has an exact copy in train, such as i6, of i1",
        "2 of 3 test images have exact copies in train, such as i3, of i0",
    ]
    assert (
        texts(found, "warning")[-1] == "1 of 3 test images has an exact copy in test too, such as i4, of i3"
    )


def test_unused_images_leak_nothing() -> None:
    images = data(1, 2, 1, 3)
    found = looked(images, apart(images, [0, 1], [], [3]))
    assert texts(found, "leak") == found.leaks(found.exact) == []
    assert found.exact == [[0, 2]]


def test_near_copies_leak_too() -> None:
    images = data(1, 2, 3, 4)
    splits = apart(images, [0, 1], [2], [3])
    found = Inspection(images, splits, looked(images, splits).looks, [], [[1, 2, 3]])
    assert texts(found, "leak") == [
        "1 of 1 val images has a near copy in train, such as i2, of i1",
        "1 of 1 test images has a near copy in train, such as i3, of i1",
        "1 of 1 test images has a near copy in val, such as i3, of i2",
    ]


def test_a_group_on_both_sides_leaks() -> None:
    images = data(1, 2, 3, 4, groups=["p", "q", "q", "r"])
    found = looked(images, apart(images, [0, 1], [], [2, 3]))
    assert texts(found, "leak") == ["1 group is divided by the splits, such as q"]
    together = looked(images, apart(images, [0, 3], [], [1, 2]))
    assert texts(together, "leak") == []


def test_equal_pixels_of_two_classes_contradict() -> None:
    images = data(1, 1, 2, 3, 1, 4, labels=[0, 1, 0, 1, 0, 1])
    first, *_ = texts(looked(images, apart(images, [*range(6)], [], [])), "warning")
    assert (
        first == "3 images agree in every pixel with others of another class, such as i0 (ant) and i1 (bee)"
    )


def test_what_cannot_be_read_or_shows_nothing_is_warned_of() -> None:
    images = data(1, 0, 2, 3)
    splits = apart(images, [0, 1, 2, 3], [], [])
    looks = [*looked(images, splits).looks[:3], "i3: damaged"]
    found = Inspection(images, splits, looks, [], [])
    assert texts(found, "warning") == [
        "1 image cannot be read, such as i3: damaged",
        "1 image has one colour all over, such as i1",
    ]
    assert found.unreadable == [(3, "i3: damaged")]


def test_a_split_without_a_class_is_warned_of() -> None:
    images = data(1, 2, 3, 4)
    found = looked(images, apart(images, [0, 1], [2], [3]))
    assert texts(found, "warning") == [
        "val has no image of 1 class, such as bee",
        "test has no image of 1 class, such as ant",
    ]


@pytest.mark.parametrize(("bees", "kind"), [(2, "warning"), (3, "note")])
def test_balance_is_a_warning_where_it_is_lost(bees: int, kind: str) -> None:
    labels = [0] * 20 + [1] * bees
    images = data(*range(1, len(labels) + 1), labels=labels)
    said = texts(looked(images, apart(images, [0, 20], [], [])), kind)[0]
    assert said.startswith(f"the largest class, ant, has 20 images, the smallest, bee, {bees}; to answer ant")
    assert f"right in {20 / len(labels):.1%}" in said


def test_even_classes_and_what_the_source_notes() -> None:
    images = data(1, 2, 3, 4)
    noted = SampleData(
        images.class_names, images.parts, ["ignored files: 3", "warning: 2 groups are divided"]
    )
    found = find(looked(noted, apart(noted, [0, 1, 2, 3], [], [])))
    assert found == [
        Finding("warning", "2 groups are divided"),
        Finding("note", "ignored files: 3"),
        Finding("note", "every class has 2 images"),
    ]


def test_a_source_that_cannot_be_split_keeps_its_own_parts() -> None:
    images = data(1, 2, 3, 4)
    whole = by_parts(images, "too few")
    assert (len(whole["unused"]), whole.describe()) == (4, "split: too few")
    parts = {"train": images.parts["all"], "test": array_images(["t"], [0], np.ones((1, 4, 4), np.uint8))}
    kept = by_parts(SampleData(["ant", "bee"], parts), "too few")
    assert [kept[split].tolist() for split in ("train", "val", "test")] == [[0, 1, 2, 3], [], [4]]


def test_what_reading_leaves_little_of_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8)
    plain = Image.fromarray(noise)
    plain.save(tmp_path / "plain.png")
    Image.fromarray(noise // 17).save(tmp_path / "faint.png")
    Image.fromarray(np.tile(noise[:2], 2)).save(tmp_path / "a.png")
    names = ["plain.png", "faint.png", "a.png"]
    images = SampleData(["ant", "bee"], {"all": file_images(tmp_path, names, [0, 1, 0])})
    assert texts(looked(images, apart(images, [0, 1, 2], [], [])), "warning") == [
        "1 image uses less than a 16th of the range from black to white, such as faint.png",
        "1 image is more than 16 times as long as wide, and the middle is used, such as a.png (40 x 2 px)",
    ]
