"""The target task that needs no download: scikit-learn's handwritten digits."""

import numpy as np

from graft.data.image_data import ImageData, array_images


def digits() -> ImageData:
    """1,797 real handwritten digits of 8x8 grey values (Alpaydin and Kaynak 1998), one part "all"."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    pixels = np.round(loaded.images * (255 / 16)).astype(np.uint8)
    names = [f"digits/{index:04d}" for index in range(len(pixels))]
    return ImageData([str(digit) for digit in range(10)], {"all": array_images(names, loaded.target, pixels)})
