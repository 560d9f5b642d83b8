"""What images are prepared by, which the tests of `graft.data` share."""

import pytest

from graft.backbones import Preprocessing


@pytest.fixture
def preprocessing():
    """Of small images."""
    return Preprocessing(
        resize=20,
        crop=16,
        interpolation="bilinear",
        mean=(0.4, 0.5, 0.6),
        std=(0.2, 0.3, 0.25),
        colour="RGB",
        squash=False,
    )
