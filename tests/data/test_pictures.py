"""No split that is drawn has copies on two sides, and what a person's own parts share is said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graft.data import SampleData, array_images, file_images, split
from graft.data import pictures as pictures_module
from graft.data.grouping import one_of_each_picture
from graft.data.pictures import with_copies_known
from graft.data.splits import SPLITS
from graft.errors import GraftError


def data(
    pictures: list[int], labels: list[int] | None = None, groups: list[str] | None = None, **parts: int
) -> SampleData:
    """Images of noise, those of equal number equal, in parts of so many; without parts all in one."""
    labels = [i % 2 for i in range(len(pictures))] if labels is None else labels
    noise = {v: np.random.default_rng(v).integers(0, 256, (6, 6), dtype=np.uint8) for v in pictures}
    pixels = np.stack([noise[v] for v in pictures])
    made, start = {}, 0
    for part, count in (parts or {"all": len(pictures)}).items():
        place = slice(start, start + count)
        names = [f"{part}/{i:03d}" for i in range(start, start + count)]
        made[part] = array_images(names, labels[place], pixels[place])
        start += count
    return SampleData([f"class{i}" for i in range(max(labels) + 1)], made, groups=groups)


def drawn(size: int = 90, copied: int = 30, seed: int = 0, groups: int = 0, **parts: int) -> SampleData:
    """Images of which about `copied` are copies of others, also of another class, group or part."""
    rng = np.random.default_rng(seed)
    pictures = np.arange(size)
    pictures[rng.choice(size, copied, replace=False)] = rng.choice(size, copied)
    of = [f"patient{i}" for i in rng.integers(0, groups, size)] if groups else None
    return with_copies_known(data(pictures.tolist(), rng.integers(0, 3, size).tolist(), of, **parts))


def sides(images: SampleData, **asked) -> dict[str, set[str]]:
    """For each picture and group, the splits that it is in."""
    splits, found = split(images, **asked), {}
    for name in ("train", "val", "test"):
        for index in splits[name]:
            found.setdefault(images.samples.content(int(index)), set()).add(name)
            if images.groups is not None:
                found.setdefault(images.groups[index], set()).add(name)
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("groups", [0, 60])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"test_fraction": 0.4, "val_fraction": 0.1},
        {"folds": 4, "fold": 1},
        {"folds": 4, "fold": 3},
        {"folds": 3, "fold": 3, "test_seed": 5},
        {"test_seed": 5},
        {"val_fraction": 0},
    ],
)
def test_no_split_that_is_drawn_parts_copies_or_groups(seed: int, groups: int, asked: dict) -> None:
    images = drawn(seed=seed, groups=groups)
    found = sides(images, seed=seed, **asked)
    assert all(len(names) == 1 for names in found.values())
    assert len(set.union(*found.values())) == (2 if asked.get("val_fraction") == 0 else 3)
    # The same images cut one by one are not so.
    if not groups:
        parted = sides(replace(images, pictures=None), seed=seed, **asked)
        assert any(len(names) > 1 for names in parted.values())


@pytest.mark.parametrize("seed", range(3))
def test_folds_with_copies_partition_what_they_cut(seed: int) -> None:
    images = drawn(seed=seed)
    folds = [split(images, folds=5, fold=fold, seed=seed) for fold in range(1, 6)]
    assert sorted(np.concatenate([one["test"] for one in folds])) == list(range(90))
    assert max(len(one["test"]) for one in folds) <= 24


def test_of_official_parts_what_is_drawn_alone_is_kept_together() -> None:
    images = drawn(train=60, test=30)
    splits = split(images)
    names = images.samples.names
    assert all(names[i].startswith("test/") for i in splits["test"])
    assert {names[i].partition("/")[0] for i in splits["val"]} == {"train"}
    train, val = ({images.samples.content(int(i)) for i in splits[name]} for name in ("train", "val"))
    assert not train & val


def test_a_picture_that_links_two_groups_joins_them() -> None:
    groups = [f"p{i // 2}" for i in range(40)]
    pictures = list(range(40))
    pictures[9], pictures[31] = 2, 8
    images = with_copies_known(data(pictures, groups=groups))
    # Patients 1, 4 and 15: 2 and 9 are copies, and 8, of the same patient as 9, is one of 31.
    linked = [2, 3, 8, 9, 30, 31]
    for seed in range(8):
        of = split(images, seed=seed).of_each()
        assert len({of[i] for i in linked}) == 1
    assert images.groups == groups
    assert "groups and copies kept together" in split(images).describe()


@pytest.mark.parametrize("asked", [{}, {"folds": 3, "fold": 2}, {"shots": 2}])
@pytest.mark.parametrize("groups", [None, [f"p{i // 3}" for i in range(60)]])
def test_where_there_are_no_copies_nothing_changes(groups: list[str] | None, asked: dict) -> None:
    plain = data(list(range(60)), groups=groups)
    known = with_copies_known(plain)
    assert known.pictures is None
    first, second = split(plain, **asked), split(known, **asked)
    assert all(np.array_equal(first[name], second[name]) for name in SPLITS)
    assert first.rule == second.rule
    assert known.notes == ["no image is a copy of another, so nothing has to be kept together"]


def test_names_and_threads_decide_nothing() -> None:
    images = drawn()
    pixels = np.stack([np.asarray(image.convert("L")) for image in images.samples])
    other = array_images([f"x{i:03d}" for i in range(90)], images.samples.labels, pixels)
    renamed = with_copies_known(SampleData(images.class_names, {"all": other}), threads=3)
    for asked in ({}, {"folds": 4, "fold": 2}):
        first, second = split(images, **asked), split(renamed, **asked)
        assert all(np.array_equal(first[name], second[name]) for name in SPLITS)


def test_near_copies_count_unless_only_exact_ones_are_to(tmp_path: Path) -> None:
    for i in range(12):
        noise = np.random.default_rng(i).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((64, 64), Image.Resampling.BICUBIC).save(tmp_path / f"{i:02d}.png")
    first = Image.open(tmp_path / "00.png")
    first.resize((40, 40)).save(tmp_path / "12.jpg", quality=60)
    first.save(tmp_path / "13.bmp")
    names = [*(f"{i:02d}.png" for i in range(12)), "12.jpg", "13.bmp"]
    images = SampleData(["a", "b"], {"all": file_images(tmp_path, names, [i % 2 for i in range(14)])})
    assert with_copies_known(images).pictures.tolist() == [*range(12), 0, 0]
    assert with_copies_known(images, near=False).pictures.tolist() == [*range(13), 0]


def test_how_many_are_copies_and_what_own_parts_share_is_said() -> None:
    images = data([0, 1, 2, 3, 0, 4, 0, 0, 5, 2, 6, 3], train=6, val=3, test=3)
    assert with_copies_known(images).notes == [
        "8 images are copies, of 3 pictures; no split that is drawn parts them",
        "warning: 2 images of val have copies in train",
        "warning: 2 images of test have copies in train",
    ]
    # Of what folds cut nothing that the parts share is tested.
    assert len(with_copies_known(images, folds=True).notes) == 1
    one = with_copies_known(data([0, 1, 2, 3, 1, 4], train=4, test=2))
    assert one.notes[1:] == ["warning: 1 image of test has a copy in train"]
    assert with_copies_known(data([0, 1, 2, 0])).notes == [
        "2 images are copies, of 1 picture; no split that is drawn parts them"
    ]


def test_one_image_of_each_picture_is_the_first() -> None:
    images = with_copies_known(data([0, 1, 0, 2, 1, 3]))
    assert one_of_each_picture(images, np.array([1, 2, 3, 4])).tolist() == [1, 2, 3]
    assert one_of_each_picture(data([0, 0]), np.array([0, 1])).tolist() == [0, 1]


CLASSES = [0] * 12 + [1] * 5


@pytest.mark.parametrize(
    ("pictures", "asked", "words"),
    [
        (
            [*range(12), 20, 20, 20, 20, 20],
            {},
            "class class1 has 1 picture, of which its 5 images are copies, to divide, a split needs 2",
        ),
        (
            [*range(12), 20, 21, 20, 20, 20],
            {"folds": 3, "fold": 1},
            "folds=3: class class1 has 2 images that are no copies of each other, too few for 3 folds; "
            "give folds=2",
        ),
        (
            [0] * 6 + [1] * 6 + [20] * 2 + [21] * 3,
            {"test_fraction": 0.15, "val_fraction": 0},
            r"no image of class class0 would be drawn, because its pictures have too many copies",
        ),
    ],
)
def test_a_class_that_is_too_small_without_its_copies_is_refused(
    pictures: list[int], asked: dict, words: str
) -> None:
    images = with_copies_known(data(pictures, CLASSES))
    with pytest.raises(GraftError, match=words) as caught:
        split(images, **asked)
    assert "\n" not in str(caught.value)


def test_what_was_found_is_kept_for_the_same_images_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRAFT_CACHE_DIR", str(tmp_path))
    compared: list[int] = []
    inner = pictures_module.exact_copies

    def exact(looks: list) -> list[list[int]]:
        compared.append(len(looks))
        return inner(looks)

    monkeypatch.setattr(pictures_module, "exact_copies", exact)
    numbers = [0, 1, 2, 0, 3]
    first = with_copies_known(data(numbers)).pictures
    assert first.tolist() == with_copies_known(data(numbers)).pictures.tolist() == [0, 1, 2, 0, 4]
    assert len(compared) == 1
    # One image more, another order, other bits: each is found anew.
    assert with_copies_known(data([*numbers, 1])).pictures.tolist() == [0, 1, 2, 0, 4, 1]
    assert with_copies_known(data(numbers[::-1])).pictures.tolist() == [0, 1, 2, 3, 1]
    with_copies_known(data(numbers), near=False)
    monkeypatch.setattr(pictures_module, "NEAR", 3)
    with_copies_known(data(numbers))
    assert len(compared) == 5


def test_the_images_are_read_once_for_copies_and_for_what_is_recorded(tmp_path: Path) -> None:
    for i in range(4):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / f"{i}.png")
    images = SampleData(
        ["a", "b"], {"all": file_images(tmp_path, [f"{i}.png" for i in range(4)], [0, 1] * 2)}
    )
    known = with_copies_known(images)
    for i in range(4):
        (tmp_path / f"{i}.png").unlink()
    assert len({known.identity(i) for i in range(4)}) == 4
