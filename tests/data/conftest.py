"""What images are prepared by, which the tests of `graft.data` share."""

from types import SimpleNamespace

import pytest


@pytest.fixture
def preprocessing():
    """Stands in for `graft.backbones.Preprocessing`."""
    return SimpleNamespace(
        resize=20,
        crop=16,
        interpolation="bilinear",
        mean=(0.4, 0.5, 0.6),
        std=(0.2, 0.3, 0.25),
        colour="RGB",
        squash=False,
    )
