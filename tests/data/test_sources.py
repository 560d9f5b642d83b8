"""The sources that need no download."""

import time

import numpy as np

from graft.sources import digits, glyphs


def pixels(data):
    return np.stack([np.asarray(data.samples[index])[..., 0] for index in range(len(data.samples))])


def test_digits():
    data = digits()
    assert list(data.parts) == ["all"]
    assert data.class_names == [str(digit) for digit in range(10)]
    assert len(data.samples) == 1797
    assert data.samples.names[:2] == ["digits/0000", "digits/0001"]
    assert data.samples[0].size == (8, 8)
    found = pixels(data)
    assert (found.min(), found.max()) == (0, 255)
    assert np.bincount(data.samples.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_glyphs_are_balanced_and_look_like_ink():
    data = glyphs(size=1000)
    assert data.class_names == [str(digit) for digit in range(10)]
    assert np.bincount(data.samples.labels).tolist() == [100] * 10
    assert data.samples[0].size == (8, 8)
    ink = pixels(data).mean(axis=(1, 2)) / 255
    assert 0.05 < ink.min() < ink.max() < 0.6
    assert len({image.tobytes() for image in pixels(data)}) > 990


def test_a_glyph_depends_on_seed_and_index_alone():
    more, fewer, other = (pixels(data) for data in (glyphs(530), glyphs(70), glyphs(70, seed=1)))
    assert np.array_equal(more[:70], fewer)
    assert not np.array_equal(fewer, other)
    assert np.array_equal(more, pixels(glyphs(530)))
    assert glyphs(530).samples.names[:70] == glyphs(70).samples.names


def test_few_glyphs():
    assert glyphs(1).samples.labels.tolist() == [0]


def test_glyphs_can_be_told_apart_and_say_something_of_digits():
    from sklearn.neighbors import KNeighborsClassifier

    source, target = glyphs(2000), digits()
    neighbours = KNeighborsClassifier(3).fit(pixels(source).reshape(2000, -1), source.samples.labels)
    # Chance is 0.1; a better source than this is for a convolutional network to find.
    assert neighbours.score(pixels(target).reshape(1797, -1), target.samples.labels) > 0.5


def test_ten_thousand_glyphs_take_seconds():
    start = time.process_time()
    glyphs(10_000)
    assert time.process_time() - start < 10
