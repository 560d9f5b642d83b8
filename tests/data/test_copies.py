"""Copies: the same pixels, or the same picture; and nothing else."""

import itertools

import numpy as np
import pytest
from PIL import Image

from graft.data import array_images, copies
from graft.data.copies import alike, connected, exact_copies, near_copies, near_pairs
from graft.data.looks import Look, all_looks


def smooth(seed: int, side: int = 48) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)


def looks(*images: Image.Image) -> list[Look | str]:
    found: list[Look | str] = []
    for image in images:
        found += all_looks(array_images(["x"], [0], np.asarray(image)[None]), 1, lambda done: None)
    return found


def test_exact_copies_are_those_of_equal_pixels() -> None:
    a, b = smooth(0), smooth(1)
    assert exact_copies([*looks(a, b, a), "unreadable", *looks(b, a, smooth(2))]) == [[0, 2, 5], [1, 4]]


def test_near_copies_are_scaled_or_recoloured_pictures_and_not_others() -> None:
    a, b = smooth(0), smooth(1)
    brighter = Image.eval(a, lambda value: min(255, value + 12))
    found = looks(a, b, a.resize((30, 30)), smooth(2), brighter)
    assert near_copies(found, 4) == [[0, 2, 4]]
    assert exact_copies(found) == []


def test_equal_pixels_alone_are_no_near_copies_but_go_with_one() -> None:
    a, b = smooth(0), smooth(1)
    assert near_copies(looks(a, a, b), 4) == []
    assert near_copies(looks(a, b, a, a.resize((30, 30))), 4) == [[0, 2, 3]]


def test_blank_and_very_small_images_are_not_compared() -> None:
    grey = [Image.new("RGB", (40 + i, 40), (9, 9, 9 + i)) for i in range(3)]
    small = [smooth(0, 15), smooth(0, 14)]
    told: list[int] = []
    assert near_copies(looks(*grey, *small), 16, told.append) == told == []
    assert near_copies(looks(smooth(0, 16), smooth(0, 17)), 8) == [[0, 1]]


def test_pairs_are_all_those_within_the_distance_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    hashes = rng.random((40, 64)) < 0.5
    # Some that are near others, at all distances.
    for row in range(20):
        hashes[20 + row] = hashes[row]
        hashes[20 + row, rng.permutation(64)[: row % 8]] ^= True
    wanted = [
        pair
        for pair in itertools.combinations(range(40), 2)
        if (hashes[pair[0]] != hashes[pair[1]]).sum() <= 4
    ]
    assert len(wanted) >= 10
    told: list[int] = []
    for cells in (2**25, 40 * 7):
        monkeypatch.setattr(copies, "CELLS", cells)
        assert sorted(near_pairs(hashes, 4, told.append)) == wanted
    assert told == [40, 7, 14, 21, 28, 35, 40]


def test_near_hashes_alone_are_not_enough() -> None:
    ramp = np.arange(256, dtype=np.uint8)
    rows = np.stack([ramp, ramp[::-1], np.clip(ramp.astype(int) + 9, 0, 255).astype(np.uint8), ramp * 0])
    assert alike([(0, 1), (0, 2), (0, 3), (3, 3)], rows) == [(0, 2)]


def test_a_likeness_is_no_copy() -> None:
    """Pictures that correlate by 0.97 are copies of each other, by 0.9 two takes of one thing."""
    rng = np.random.default_rng(0)
    first, other = rng.normal(size=(2, 10_000))
    rows = np.stack([r * first + np.sqrt(1 - r * r) * other for r in (1.0, 0.97, 0.9)])
    grey = np.clip(128 + 40 * rows, 0, 255).astype(np.uint8)
    assert alike([(0, 1), (0, 2)], grey) == [(0, 1)]


def test_what_pairs_connect() -> None:
    assert connected([]) == []
    assert connected([(3, 4), (1, 2), (2, 5)]) == [[1, 2, 5], [3, 4]]


def test_no_readable_image_is_no_copy() -> None:
    assert near_copies(["unreadable"] * 2, 4) == exact_copies(["unreadable"] * 2) == []
