"""Boxes lie within their images and are spread as torchvision's."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from graft.data.crops import DRAWS, centre_boxes, random_boxes, random_resized_boxes
from graft.data.randomness import _mixed, uniforms


def draws(count, seed=0):
    return uniforms(seed, np.zeros(count, np.int64), np.arange(count), DRAWS)


@pytest.mark.parametrize("size", [(16, 16), (17, 16), (19, 31), (40, 21)])
def test_a_centre_is_torchvisions(size):
    (top, left, height, width) = centre_boxes(np.array([size]), 16)[0].tolist()
    assert (height, width) == (16, 16)
    image = torch.arange(size[0] * size[1]).reshape(1, *size)
    assert torch.equal(image[:, top : top + 16, left : left + 16], v2.functional.center_crop(image, [16, 16]))


def test_random_squares_reach_every_place_equally():
    boxes = random_boxes(np.array([[10, 12]] * 9000), 8, 1, draws(9000))
    assert (boxes[:, 2:] == 8).all()
    for axis, places in ((0, range(-1, 4)), (1, range(-1, 6))):
        values, counts = np.unique(boxes[:, axis], return_counts=True)
        assert values.tolist() == list(places)
        expected = 9000 / len(places)
        assert (abs(counts - expected) < 5 * expected**0.5).all()
    # Rows and columns are drawn apart.
    assert abs(np.corrcoef(boxes[:, :2].T)[0, 1]) < 0.05


@pytest.mark.parametrize(("size", "scale"), [((300, 400), (0.08, 1.0)), ((60, 400), (0.3, 0.9))])
def test_resized_crops_are_spread_as_torchvisions(size, scale):
    count = 8000
    ours = random_resized_boxes(np.array([size] * count), scale, draws(count))
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, :2] + ours[:, 2:] <= size).all()
    torch.manual_seed(0)
    crop = v2.RandomResizedCrop(8, scale=scale)
    image = torch.zeros(3, *size)
    theirs = np.array([list(crop.make_params([image]).values()) for _ in range(count)])
    features = [
        np.stack([b[:, 0], b[:, 1], b[:, 2], b[:, 3], b[:, 2] * b[:, 3]], 1).astype(float)
        for b in (ours, theirs)
    ]
    for mine, reference in zip(features[0].T, features[1].T, strict=True):
        # Kolmogorov-Smirnov: 1.95 at a level of 0.001.
        grid = np.sort(np.concatenate([mine, reference]))
        steps = [np.searchsorted(np.sort(x), grid, side="right") / count for x in (mine, reference)]
        assert abs(steps[0] - steps[1]).max() < 1.95 * (2 / count) ** 0.5


def test_images_of_a_batch_have_boxes_of_their_own():
    sizes = np.array([[30, 40], [400, 300], [5, 90]])
    together = random_resized_boxes(sizes, (0.5, 1.0), draws(3))
    for place in range(3):
        alone = random_resized_boxes(
            sizes[place : place + 1], (0.5, 1.0), uniforms(0, np.zeros(1, int), np.array([place]), DRAWS)
        )
        assert (alone[0] == together[place]).all()


def test_draws_are_uniform_and_independent():
    found = uniforms(3, np.repeat(np.arange(50), 200), np.tile(np.arange(200), 50), 4)
    assert found.min() >= 0
    assert found.max() < 1
    counts = np.histogram(found, 20, (0, 1))[0]
    assert (abs(counts - 2000) < 5 * 2000**0.5).all()
    by_image = found[:, 0].reshape(50, 200)
    for one, other in (
        (found[:, 0], found[:, 1]),
        (by_image[:-1].ravel(), by_image[1:].ravel()),
        (by_image[:, :-1].ravel(), by_image[:, 1:].ravel()),
        (found[:, 0], uniforms(4, np.repeat(np.arange(50), 200), np.tile(np.arange(200), 50), 4)[:, 0]),
    ):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.05
    # Neither a sum nor an exchange of the three numbers gives the same again.
    assert len(np.unique(found)) == found.size


def test_draws_are_splitmix64s():
    # The first number of the published generator begun at 0.
    assert _mixed(np.array([0x9E3779B97F4A7C15], np.uint64))[0] == 0xE220A8397B1DCDAF
    for seed, epoch, index in ((0, 0, 0), (2**32 - 1, 7, 123456), (3, 1, 0)):
        state = 0
        for number in (seed, epoch, index):
            state = mixed(state + number + 0x9E3779B97F4A7C15)
        expected = [(mixed(state + (k + 1) * 0x9E3779B97F4A7C15) >> 11) / 2**53 for k in range(3)]
        assert uniforms(seed, np.array([epoch]), np.array([index]), 3)[0].tolist() == expected


def mixed(state):
    """The same in whole numbers of any size."""
    state %= 2**64
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
    return state ^ (state >> 31)
