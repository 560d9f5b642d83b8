"""Whole groups are drawn and dealt out as near to what is asked as they allow."""

from itertools import combinations

import numpy as np
import pytest

from graft.data import SampleData, array_images, split
from graft.data.grouping import deal, draw
from graft.errors import GraftError


def images(group_sizes, labels=None):
    """Images in groups of these sizes, of two classes that take turns unless `labels` are given."""
    groups = [f"patient{i}" for i, size in enumerate(group_sizes) for _ in range(size)]
    labels = [i % 2 for i in range(len(groups))] if labels is None else labels
    pixels = np.zeros((len(groups), 2, 2, 3), np.uint8)
    part = array_images([f"{i:03d}" for i in range(len(groups))], labels, pixels)
    return SampleData(["healthy", "tumour"], {"all": part}, groups=groups)


def sizes(splits):
    return [len(splits[name]) for name in ("train", "val", "test")]


@pytest.mark.parametrize("seed", range(5))
def test_one_group_of_seventy_of_a_hundred_images_is_no_test_set(seed):
    """The first of five folds, which were cut before, held 76 images."""
    data = images([70, *[6] * 5])
    splits = split(data, seed=seed)
    assert sizes(splits) == [70, 12, 18]
    # Two images of twenty are no more than a tenth off; of those that validate four are.
    assert splits.describe().endswith(
        f"12 of the other 82 validate (stratified, groups kept together, data.split_seed={seed}), as near to "
        "the 16 of data.val_fraction=0.2 as groups allow; 70 train"
    )
    assert splits.describe().count("as near to") == 1


@pytest.mark.parametrize(
    ("share", "got"), [(0.05, 10), (0.1, 10), (0.25, 20), (0.4, 40), (0.45, 40), (0.6, 60), (0.8, 80)]
)
def test_any_share_of_even_groups_is_met(share, got):
    """Of one image more than half as little as a half was drawn before: 0.4 and 0.45 gave 0.5."""
    splits = split(images([10] * 10), test_fraction=share, val_fraction=0)
    assert abs(len(splits["test"]) - 100 * share) <= 5
    assert len(splits["test"]) == got or share in (0.05, 0.25, 0.45)
    assert ("as near to" in splits.describe()) == (share in (0.05, 0.25, 0.45))


def test_no_choice_of_groups_is_nearer():
    rng = np.random.default_rng(0)
    for _ in range(20):
        counts = rng.multinomial(1, [0.5, 0.5], (9, 12)).sum(1) * rng.integers(1, 9, (9, 1))
        share = rng.uniform(0.1, 0.6)
        asked, number = share * counts.sum(), counts.sum(1)
        possible = [number[list(chosen)].sum() for k in range(1, 9) for chosen in combinations(range(9), k)]
        got = number[draw(counts, share, rng)].sum()
        assert abs(got - asked) == pytest.approx(min(abs(np.array(possible) - asked)))


def test_a_test_set_has_every_class_and_leaves_some_of_each():
    """Each patient has one class: the one nearest to 12 of 60 images would validate one class alone."""
    data = images([10] * 8, [int(i >= 40) for i in range(80)])
    for seed in range(5):
        splits = split(data, seed=seed)
        for name in ("train", "val", "test"):
            assert np.bincount(data.samples.labels[splits[name]], minlength=2).min() > 0


def test_classes_are_drawn_in_proportion_and_seeds_draw_otherwise():
    counts = np.random.default_rng(0).multinomial(10, [0.5, 0.3, 0.2], 20)
    drawn = [draw(counts, 0.2, np.random.default_rng(seed)) for seed in range(10)]
    assert len({tuple(one) for one in drawn}) > 5
    for one in drawn:
        assert one.sum() == 4
        assert np.abs(counts[one].sum(0) - 0.2 * counts.sum(0)).max() <= 3


def test_folds_are_as_even_as_groups_allow():
    counts = np.array([[35, 35], *[[3, 3]] * 5])
    folds = np.bincount(deal(counts, 5, np.random.default_rng(0)), counts.sum(1))
    assert sorted(folds) == [6, 6, 6, 12, 70]
    words = split(images([70, *[6] * 5]), folds=5, fold=1).describe()
    assert "100 images in 5 folds of 6 to 70, as even as groups allow: the " in words
    assert "as groups allow: the" not in split(images([10] * 10), folds=5, fold=1).describe()


@pytest.mark.parametrize(
    ("group_sizes", "labels", "asked", "words"),
    [
        ([20], None, {}, "data.test_fraction=0.2: 1 groups cannot be divided"),
        (
            [10, 10],
            [int(i >= 10) for i in range(20)],
            {},
            "images of every class are left; add groups, or give",
        ),
        ([10, 10], None, {}, "data.val_fraction=0.2: 1 groups .*, or give data.val_fraction=0"),
        ([10, 10], None, {"folds": 3, "fold": 1}, "2 groups are too few for 3 folds; give folds=2"),
    ],
)
def test_groups_that_cannot_be_divided_are_refused_with_a_way_out(group_sizes, labels, asked, words):
    with pytest.raises(GraftError, match=words):
        split(images(group_sizes, labels), **asked)
