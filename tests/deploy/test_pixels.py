"""The input that NumPy and Pillow make is that of evaluation, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from graft.backbones import Preprocessing
from graft.backbones.preprocessing import INTERPOLATIONS
from graft.data import evaluation_transform
from graft.deploy.pixels import network_input, resized

# Upright, lying, square, of the right size already, tiny, and too long to be resized whole.
SIZES = [(37, 61), (61, 37), (50, 50), (24, 31), (3, 2), (400, 7), (5, 331)]
HOW = Preprocessing(resize=24, crop=21, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_all_bits_are_those_of_evaluation(interpolation: str, squash: bool) -> None:
    how = replace(HOW, interpolation=interpolation, squash=squash)
    transform = evaluation_transform(how)
    stream = np.random.default_rng(0)
    images = [
        Image.fromarray(stream.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for width, height in SIZES
    ]
    prepared = [transform.prepare(image) for image in images]
    pixels = [resized(image, how.to_dict()) for image in images]
    for ours, its in zip(pixels, prepared, strict=True):
        np.testing.assert_array_equal(ours, its, strict=True)
    nothing = np.zeros(len(images), np.int64)
    finished = transform.finish(prepared, None, nothing, nothing)
    np.testing.assert_array_equal(
        network_input(pixels, how.to_dict()),
        finished.numpy(),  # type: ignore[union-attr]
        strict=True,
    )
