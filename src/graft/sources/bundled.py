"""The target task that needs no download: scikit-learn's handwritten digits."""

import numpy as np

from graft.data.image_samples import array_images
from graft.data.sample_data import SampleData


def digits() -> SampleData:
    """The 1,797 handwritten digits, 8x8 greyscale, that scikit-learn ships; one part "all"."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # The files count the inked pixels of 4x4 blocks, 0 to 16.
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    names = [f"digits/{index:04d}" for index in range(len(pixels))]
    return SampleData([str(digit) for digit in range(10)], {"all": array_images(names, bunch.target, pixels)})
