"""A split written as rows is read back the same, and never for other images."""

import unicodedata

import numpy as np
import pytest

from graft.data import split, split_from_rows, split_rows
from graft.data.splits import SPLITS
from graft.errors import GraftError


@pytest.fixture
def data(noise):
    return noise({"train": [10, 10], "test": [3, 3]}, class_names=["ants", "bees"])


def test_a_row_an_image(data):
    rows = split_rows(data, split(data, shots=2))
    assert [row["name"] for row in rows] == data.samples.names
    assert {row["label"] for row in rows} == {"ants", "bees"}
    assert sum(row["split"] == "train" for row in rows) == 4
    assert [row["split"] for row in rows[20:]] == ["test"] * 6


def test_what_was_written_is_read_in_any_order(data):
    splits = split(data, shots=2, seed=7)
    rows = split_rows(data, splits)
    again = split_from_rows(rows[::-1], data)
    assert all(np.array_equal(splits[name], again[name]) for name in SPLITS)
    assert again.describe() == "split: read from split.csv: 4 train, 4 val, 6 test, 12 unused"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[:-2], ["2 images of the data are not listed", "test/004"]),
        (lambda rows: [*rows, rows[0]], ["train/000 is listed twice"]),
        (lambda rows: [*rows, {**rows[0], "name": "new"}], ["new is not among the 26 images"]),
        (lambda rows: [{**rows[0], "label": "wasps"}, *rows[1:]], ["train/000 was labelled wasps"]),
        (lambda rows: [{**rows[0], "split": "tset"}, *rows[1:]], ["train/000", "tset", "did you mean test?"]),
        (lambda rows: [{"name": "train/000", "label": "ants"}, *rows[1:]], ["a row has no split"]),
    ],
)
def test_other_images_are_refused(data, change, words):
    with pytest.raises(GraftError) as caught:
        split_from_rows(change(split_rows(data, split(data))), data, "runs/1/split.csv")
    assert str(caught.value).startswith("runs/1/split.csv: ")
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_name_in_another_spelling_of_its_accents_is_the_same(noise):
    composed, apart = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
    data = noise({"train": [4, 4], "test": [2, 2]}, class_names=["ants", composed])
    data.parts["train"].names[0] = f"{composed}.png"
    del data.__dict__["samples"]
    rows = split_rows(data, split(data))
    for row in rows:
        row |= {key: row[key].replace(composed, apart) for key in ("name", "label")}
    assert any(apart in row["name"] for row in rows)
    again = split_from_rows(rows, data)
    assert all(np.array_equal(split(data)[name], again[name]) for name in SPLITS)
    # Two files whose names differ in that alone are two.
    data.parts["train"].names[1] = f"{apart}.png"
    del data.__dict__["samples"]
    rows = split_rows(data, split(data))
    assert len({row["name"] for row in rows}) == 12
    split_from_rows(rows, data)
