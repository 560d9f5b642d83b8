"""Preprocessing: plain data that survives YAML, and a package that costs no torch until it is used."""

import json
import subprocess
import sys

import pytest

from graft.backbones.preprocessing import Preprocessing
from graft.errors import GraftError


def test_survives_plain_values():
    for squash in (False, True):
        given = Preprocessing(236, 224, "bicubic", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), squash=squash)
        assert Preprocessing.from_dict(json.loads(json.dumps(given.to_dict()))) == given
        assert given.to_dict()["squash"] is squash


def test_what_an_older_version_wrote_was_not_squashed():
    old = {
        "resize": 236,
        "crop": 224,
        "interpolation": "bicubic",
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "colour": "RGB",
    }
    read = Preprocessing.from_dict(old)
    assert read == Preprocessing(236, 224, "bicubic", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert read.squash is False


def test_lists_are_taken_for_tuples():
    given = Preprocessing(32, 32, mean=[0, 0, 0], std=[1, 1, 1])
    assert given == Preprocessing(32, 32, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    assert hash(given)


@pytest.mark.parametrize(
    ("resize", "crop", "size", "expected"), [(256, 224, 112, 128), (232, 224, 96, 99), (224, 224, 300, 300)]
)
def test_scaled_keeps_the_proportion(resize, crop, size, expected):
    scaled = Preprocessing(resize, crop, "bicubic", squash=True).scaled(size)
    assert (scaled.resize, scaled.crop, scaled.interpolation) == (expected, size, "bicubic")
    assert scaled.squash


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"resize": 100, "crop": 101}, "crop=101"),
        ({"resize": 10, "crop": 0}, "crop=0"),
        ({"resize": 10, "crop": 10, "interpolation": "cubic"}, "cubic"),
        ({"resize": 10, "crop": 10, "std": (1, 0, 1)}, "std"),
        ({"resize": 10, "crop": 10, "mean": (0.5,)}, "mean"),
        ({"resize": 10, "crop": 10, "colour": "L"}, "colour=L"),
    ],
)
def test_wrong_values_are_named(wrong, named):
    with pytest.raises(GraftError, match=named):
        Preprocessing(**wrong)


def test_wrong_keys_are_named():
    values = Preprocessing(32, 32).to_dict()
    with pytest.raises(GraftError, match="see stdd"):
        Preprocessing.from_dict({**values, "stdd": 1})
    with pytest.raises(GraftError, match="see crop"):
        Preprocessing.from_dict({key: value for key, value in values.items() if key != "crop"})


def test_importing_it_costs_no_torch():
    code = "from graft.backbones import Preprocessing; import sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_package_says_what_it_has_not():
    import graft.backbones

    with pytest.raises(AttributeError, match="resnet18"):
        graft.backbones.resnet18  # noqa: B018
