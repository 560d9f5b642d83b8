"""The views of test-time augmentation are those of torchvision."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from graft.backbones.columns import Columns, Number
from graft.backbones.preprocessing import Preprocessing
from graft.data import evaluation_transform
from graft.data.views import views
from graft.errors import GraftError

SIZES = Preprocessing(resize=12, crop=8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8))


def test_flip_is_the_mirrored_view(image: Image.Image) -> None:
    (mirrored,) = views("flip", SIZES)
    assert mirrored(image).equal(evaluation_transform(SIZES)(image).flip(-1))


def test_five_are_centre_and_corners(image: Image.Image) -> None:
    resized = functional.resize(image, [12], antialias=True)
    corners = functional.five_crop(resized, [8, 8])[:4]
    for view, corner in zip(views("five", SIZES), corners, strict=True):
        expected = functional.to_dtype(functional.pil_to_tensor(corner), scale=True)
        torch.testing.assert_close(view(image), expected, rtol=0, atol=1e-6)


def test_what_has_no_corners_or_is_no_image_is_refused() -> None:
    with pytest.raises(GraftError, match="tta=five: images are resized to 8 px and cut to 8"):
        views("five", Preprocessing(resize=8, crop=8, mean=(0.0,) * 3, std=(1.0,) * 3))
    with pytest.raises(GraftError, match="tta=flip: it mirrors and cuts images, and the model takes none"):
        views("flip", Columns((Number("age", 40.0, 8.0, 36.0, True),), ()))
