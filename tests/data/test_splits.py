"""Splits partition the images, keep the source's own parts, are stratified, nested and the same each time."""

import re

import numpy as np
import pytest

from graft.data import split
from graft.data.splits import SPLITS, round_up, to_test
from graft.errors import GraftError


def counts(data, splits, name):
    return np.bincount(data.samples.labels[splits[name]], minlength=len(data.class_names)).tolist()


def part(data, splits, name):
    """The source's parts that a split's images come from."""
    return {data.samples.names[index].split("/")[0] for index in splits[name]}


@pytest.mark.parametrize(
    "parts", [["all"], ["train"], ["train", "val"], ["train", "test"], ["train", "val", "test"]]
)
@pytest.mark.parametrize("asked", [{}, {"val_fraction": 0}, {"shots": 3}, {"fraction": 0.3}])
def test_every_image_is_in_exactly_one_split(noise, parts, asked):
    data = noise({name: [20, 30, 25] for name in parts})
    splits = split(data, **asked)
    together = np.concatenate([splits[name] for name in SPLITS])
    assert sorted(together) == list(range(len(data.samples)))
    assert all((np.diff(splits[name]) > 0).all() for name in SPLITS)
    assert len(splits["test"]) > 0
    validates = {"val", "test"} <= set(parts) or "val_fraction" not in asked
    assert (len(splits["val"]) > 0) == validates


def test_one_part_is_split_three_ways_in_proportion(noise):
    data = noise({"all": [100, 50, 50]})
    splits = split(data)
    assert counts(data, splits, "test") == [20, 10, 10]
    assert counts(data, splits, "val") == [16, 8, 8]
    assert counts(data, splits, "train") == [64, 32, 32]
    assert splits.describe() == (
        "split: no test set found: 40 of 200 images test (stratified, data.split_seed=0); "
        "32 of the other 160 validate (stratified, data.split_seed=0); 128 train"
    )


def test_of_train_and_val_val_is_the_test_set(noise):
    data = noise({"train": [124, 120], "val": [70, 83]})
    splits = split(data)
    assert part(data, splits, "test") == {"val"}
    assert len(splits["test"]) == 153
    assert part(data, splits, "val") == part(data, splits, "train") == {"train"}
    assert splits.describe() == (
        "split: parts train and val found: val (153 images) is the test set; "
        "49 of the other 244 validate (stratified, data.split_seed=0); 195 train"
    )


def test_a_test_part_is_kept_and_a_val_part_used_as_it_is(noise):
    data = noise({"train": [20, 20], "test": [5, 6]})
    splits = split(data)
    assert part(data, splits, "test") == {"test"}
    assert len(splits["test"]) == 11
    assert counts(data, splits, "val") == [4, 4]

    data = noise({"train": [20, 20], "val": [3, 1], "test": [5, 6]})
    splits = split(data)
    assert [part(data, splits, name) for name in ("train", "val", "test")] == [{"train"}, {"val"}, {"test"}]
    assert [len(splits[name]) for name in SPLITS] == [40, 4, 11, 0]
    assert splits.describe() == (
        "split: parts train, val, test found: test (11 images) is the test set; "
        "val (4 images) validates; 40 train"
    )


def test_nothing_validates(noise):
    splits = split(noise({"all": [10, 10]}), val_fraction=0)
    assert [len(splits[name]) for name in SPLITS] == [16, 0, 4, 0]
    assert "nothing validates (data.val_fraction=0)" in splits.describe()


def test_the_seed_alone_decides(noise):
    data = noise({"all": [40, 40]})
    first, again, other = split(data, seed=3), split(data, seed=3), split(data, seed=4)
    assert all(np.array_equal(first[name], again[name]) for name in SPLITS)
    assert not np.array_equal(first["test"], other["test"])
    np.random.seed(1)
    assert np.array_equal(first["test"], split(data, seed=3)["test"])


def test_the_seed_of_the_shots_too(noise):
    data = noise({"train": [40, 40], "val": [2, 2], "test": [2, 2]})
    assert not np.array_equal(split(data, shots=5, seed=0)["train"], split(data, shots=5, seed=1)["train"])


def test_shots_are_exact_nested_and_never_validate(noise):
    data = noise({"all": [40, 90, 60]})
    whole = split(data)
    before: set[int] = set()
    for shots in (1, 2, 5, 20, 25):
        splits = split(data, shots=shots)
        assert counts(data, splits, "train") == [shots] * 3
        assert np.array_equal(splits["val"], whole["val"])
        assert np.array_equal(splits["test"], whole["test"])
        assert before < set(splits["train"].tolist()) <= set(whole["train"].tolist())
        before = set(splits["train"].tolist())
    assert "75 of 121 train (data.shots=25)" in splits.describe()


def test_fractions_are_rounded_up_and_nested(noise):
    data = noise({"train": [100, 10, 7], "val": [3, 3, 3], "test": [3, 3, 3]})
    before: set[int] = set()
    for fraction, expected in ((0.01, [1, 1, 1]), (0.07, [7, 1, 1]), (0.3, [30, 3, 3]), (1.0, [100, 10, 7])):
        splits = split(data, fraction=fraction)
        assert counts(data, splits, "train") == expected
        assert before < set(splits["train"].tolist())
        before = set(splits["train"].tolist())


def test_a_class_is_chosen_from_apart_from_the_others(noise):
    three = noise({"train": [30, 30, 30], "val": [1, 1, 1], "test": [1, 1, 1]}, class_names=["a", "b", "c"])
    # The same images, class "b" now the first of two.
    names = three.relabelled(np.array([1, 0, 1]), ["b", "others"])
    mine = split(three, shots=4)["train"]
    again = split(names, shots=4)["train"]
    chosen = [index for index in mine if three.samples.labels[index] == 1]
    assert chosen == [index for index in again if names.samples.labels[index] == 0]


@pytest.mark.parametrize(
    ("parts", "asked", "words"),
    [
        ({"all": [4] * 10}, {}, "data.test_fraction=0.25 data.val_fraction=0.34"),
        ({"all": [4] * 10}, {"test_fraction": 0.25}, "data.val_fraction=0.34"),
        ({"all": [4] * 10}, {"val_fraction": 0}, "data.test_fraction=0.25"),
        ({"all": [4] * 10}, {"test_fraction": 0.8, "val_fraction": 0}, "data.test_fraction=0.75"),
        ({"all": [3, 2, 2]}, {"test_fraction": 0.1, "val_fraction": 0}, "data.test_fraction=0.43"),
        ({"train": [4] * 10, "test": [1] * 10}, {}, "data.val_fraction=0.25"),
        ({"train": [9, 9], "test": [2, 2]}, {"shots": 8}, "data.shots=7"),
        ({"all": [9, 4]}, {"folds": 5, "fold": 1}, "folds=4"),
    ],
)
def test_what_the_answer_says_to_give_works(noise, parts, asked, words):
    """Ten classes of four images: "8 of 40 images would be drawn, of 10 classes" said nothing more."""
    data = noise(parts)
    with pytest.raises(GraftError) as caught:
        split(data, **asked)
    said = re.search(r"give (.*?)(?: or fewer)?$", str(caught.value))[1]
    assert said == words
    given = {key.removeprefix("data."): float(value) for key, value in (w.split("=") for w in said.split())}
    whole = {key: int(value) if value == int(value) else value for key, value in given.items()}
    splits = split(data, **{**asked, **whole})
    asked_for = ("train", "test") if asked.get("val_fraction") == 0 else ("train", "val", "test")
    assert all(min(counts(data, splits, name)) > 0 for name in asked_for)


def test_round_up():
    assert [round_up(0.07, 100), round_up(0.1, 30), round_up(0.2, 244), round_up(0.001, 5)] == [7, 3, 49, 1]


@pytest.mark.parametrize(
    ("parts", "asked", "words"),
    [
        ({"all": [9, 9]}, {"shots": 2, "fraction": 0.5}, ["data.shots", "data.fraction"]),
        ({"all": [9, 1]}, {}, ["data.test_fraction=0.2", "class1", "1 image"]),
        ({"train": [9, 1], "test": [2, 2]}, {}, ["data.val_fraction=0.2", "class1", "1 image"]),
        ({"all": [3, 3, 3]}, {}, ["data.test_fraction=0.2", "2 of 9", "3 classes"]),
        ({"all": [3, 3, 3]}, {"test_fraction": 0.9}, ["data.test_fraction=0.9", "0 of 9", "3 classes"]),
        ({"train": [9, 9], "test": [2, 2]}, {"shots": 8}, ["data.shots=8", "class0", "7 images"]),
        ({"train": [9, 0], "val": [2, 2], "test": [2, 2]}, {}, ["no image of class class1"]),
    ],
)
def test_too_few_images(noise, parts, asked, words):
    with pytest.raises(GraftError) as caught:
        split(noise(parts), **asked)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "tested", "validates"),
    [
        (["all"], {"all"}, 0),
        (["train"], {"train"}, 0),
        (["test"], {"test"}, 0),
        (["val"], {"val"}, 0),
        (["train", "val"], {"val"}, 0),
        (["train", "test"], {"test"}, 0),
        (["val", "test"], {"test"}, 5),
        (["train", "val", "test"], {"test"}, 5),
    ],
)
def test_where_nothing_trains_what_is_named_test_is_tested_or_all(noise, parts, tested, validates):
    data = noise({name: [2, 3] for name in parts})
    splits = to_test(data)
    assert part(data, splits, "test") == tested
    assert len(splits["test"]) == 5
    assert len(splits["val"]) == validates
