"""Small images and data that the tests of `graft.data` share."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from graft.data import ImageData, array_images


@pytest.fixture
def paint():
    """Write an image of one colour; its folders are made."""

    def paint(path, colour=(200, 30, 30), size=(12, 10)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path)
        return path

    return paint


@pytest.fixture
def tree(tmp_path, paint):
    """Make `{"train/ants": 3}` images below `tmp_path / "photos"`, every one another colour."""

    def tree(folders):
        root = tmp_path / "photos"
        root.mkdir(exist_ok=True)
        for place, (folder, count) in enumerate(folders.items()):
            (root / folder).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                paint(root / folder / f"{index:02d}.png", (index, 40 * place, 100))
        return root

    return tree


@pytest.fixture
def noise():
    """Data in memory: `{"train": [20, 20]}` images a class, every pixel random."""

    def noise(counts, size=8, class_names=None):
        stream = np.random.default_rng(0)
        parts = {}
        for part, numbers in counts.items():
            labels = np.repeat(np.arange(len(numbers)), numbers)
            # Classes mixed, so that an order by class would show.
            labels = stream.permutation(labels)
            pixels = stream.integers(0, 256, (len(labels), size, size, 3), dtype=np.uint8)
            parts[part] = array_images([f"{part}/{i:03d}" for i in range(len(labels))], labels, pixels)
        classes = len(next(iter(counts.values())))
        return ImageData(class_names or [f"class{i}" for i in range(classes)], parts)

    return noise


@pytest.fixture
def preprocessing():
    """Stands in for `graft.backbones.Preprocessing`."""
    return SimpleNamespace(
        resize=20, crop=16, interpolation="bilinear", mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25), colour="RGB"
    )
