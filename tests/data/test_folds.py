"""Folds partition what is no official test set, class by class, and divide no group."""

import numpy as np
import pytest

from graft.data import SampleData, split
from graft.data.folds import cut
from graft.data.splits import SPLITS
from graft.errors import GraftError


def grouped(data, size):
    """The same images in groups of `size` that follow each other."""
    groups = [f"patient{index // size}" for index in range(len(data.samples))]
    return SampleData(data.class_names, data.parts, groups=groups)


def of_fold(data, fold, folds=5, **asked):
    return split(data, folds=folds, fold=fold, **asked)


@pytest.mark.parametrize("group_size", [None, 4])
@pytest.mark.parametrize("parts", [["all"], ["train", "val"], ["train", "test"], ["train", "val", "test"]])
def test_every_image_but_the_official_test_set_tests_once(noise, parts, group_size):
    data = noise({name: [40, 60, 50] for name in parts})
    data = grouped(data, group_size) if group_size else data
    folds = [of_fold(data, fold) for fold in (1, 2, 3, 4, 5)]
    official = "test" if "test" in parts else "val" if "val" in parts else None
    left_out = [i for i, name in enumerate(data.samples.names) if name.split("/")[0] == official]
    assert sorted([*np.concatenate([one["test"] for one in folds]), *left_out]) == list(
        range(len(data.samples))
    )
    for one in folds:
        assert one["unused"].tolist() == left_out
        assert len(one["val"]) > 0
        names = ("train", "val", "test", "unused")
        assert sorted(np.concatenate([one[name] for name in names])) == list(range(len(data.samples)))


def test_classes_are_in_proportion(noise):
    data = noise({"all": [100, 50, 25]})
    for fold in range(1, 6):
        counts = np.bincount(data.samples.labels[of_fold(data, fold)["test"]])
        assert counts.tolist() == [20, 10, 5]


@pytest.mark.parametrize("asked", [{"folds": 5, "fold": 2}, {}])
def test_no_group_is_divided(noise, asked):
    """Cut one by one, hardly a group would stay whole."""
    data = grouped(noise({"all": [60, 60]}), 6)
    splits = split(data, **asked)
    owners = {}
    for name in ("train", "val", "test"):
        for index in splits[name]:
            owners.setdefault(data.groups[index], set()).add(name)
    assert all(len(found) == 1 for found in owners.values())
    assert {name for found in owners.values() for name in found} == {"train", "val", "test"}
    assert "groups kept together" in splits.describe()


def test_a_share_of_few_groups_is_as_near_as_they_allow(noise):
    data = grouped(noise({"train": [40, 40], "test": [5, 5]}), 20)
    splits = split(data, val_fraction=0.1)
    assert [len(splits[name]) for name in ("train", "val")] == [60, 20]


def test_what_was_cut_is_said(noise):
    data = noise({"train": [40, 60], "test": [10, 10]})
    assert of_fold(data, 2).describe() == (
        "split: 100 images in 5 folds, the test set of 20 images left out: the 20 of fold 2 test "
        "(stratified, data.split_seed=0); 16 of the other 80 validate (stratified, data.split_seed=0); "
        "64 train"
    )


@pytest.mark.parametrize("group_size", [None, 4])
@pytest.mark.parametrize("parts", [["all"], ["train"]])
def test_a_test_set_with_a_seed_of_its_own_is_the_one_without_folds_and_no_fold_has_it(
    noise, parts, group_size
):
    data = noise({name: [40, 60, 50] for name in parts})
    data = grouped(data, group_size) if group_size else data
    held_out = split(data, seed=3)["test"].tolist()
    # Another cut, as of a repeat, leaves the same images out.
    for seed in (3, 4):
        folds = [of_fold(data, fold, seed=seed, test_seed=3) for fold in (1, 2, 3, 4, 5)]
        assert all(one["unused"].tolist() == held_out for one in folds)
        tested = sorted([*np.concatenate([one["test"] for one in folds]), *held_out])
        assert tested == list(range(150))
        assert np.array_equal(split(data, seed=seed, test_seed=3)["test"], held_out)
    cuts = [of_fold(data, 1, seed=seed, test_seed=3)["test"].tolist() for seed in (3, 4)]
    assert cuts[0] != cuts[1]


def test_a_seed_of_the_test_set_changes_no_other_draw_and_no_official_one(noise):
    data = noise({"all": [40, 60]})
    first, other = split(data, seed=1, test_seed=1), split(data, seed=1, test_seed=2)
    assert all(np.array_equal(first[name], split(data, seed=1)[name]) for name in SPLITS)
    assert not np.array_equal(first["test"], other["test"])
    official = noise({"train": [40, 60], "test": [10, 10]})
    for asked in ({}, {"folds": 5, "fold": 2}):
        with_seed, without = split(official, test_seed=7, **asked), split(official, **asked)
        assert all(np.array_equal(with_seed[name], without[name]) for name in SPLITS)
        assert with_seed.rule == without.rule


def test_what_a_seed_of_its_own_left_out_is_said(noise):
    data = noise({"all": [50, 75]})
    assert of_fold(data, 2, test_seed=4).describe() == (
        "split: 100 images in 5 folds, the test set of 25 images of data.test_seed=4 left out: the 20 of "
        "fold 2 test (stratified, data.split_seed=0); 16 of the other 80 validate (stratified, "
        "data.split_seed=0); 64 train"
    )
    assert "25 of 125 images test (stratified, data.test_seed=4)" in split(data, test_seed=4).describe()


def test_another_seed_cuts_otherwise(noise):
    data = noise({"all": [40, 60]})
    tested = [of_fold(data, 1, seed=seed)["test"].tolist() for seed in (0, 0, 1)]
    assert tested[0] == tested[1] != tested[2]


def test_less_may_train_in_a_fold(noise):
    data = noise({"all": [40, 60]})
    assert len(of_fold(data, 1, shots=3)["train"]) == 6
    assert len(of_fold(data, 1, shots=3)["test"]) == 20


def test_what_cannot_be_cut_is_refused(noise):
    with pytest.raises(GraftError, match="class class1 has 4 images, too few for 5 folds; give folds=4"):
        of_fold(noise({"all": [40, 4]}), 1)
    few = grouped(noise({"all": [40, 40]}), 40)
    with pytest.raises(GraftError, match="2 groups are too few for 5 folds"):
        of_fold(few, 1)
    with pytest.raises(GraftError, match="too few"):
        cut(few, np.zeros(0, int), 2, 0)
