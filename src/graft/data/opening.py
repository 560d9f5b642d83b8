"""From the `data` node of a configuration to images and their splits. Imports no torch of itself."""

from collections.abc import Mapping
from typing import Any

from graft.building import build
from graft.data import LOADING_KEYS
from graft.data.image_data import ImageData
from graft.data.splits import Splits, split
from graft.errors import GraftError


def open_data(data: Mapping[str, Any]) -> ImageData:
    """Open the images that the `data` node names; which of them train is not decided here.

    Raises:
        GraftError: there is nothing usable there.
    """
    source = {key: value for key, value in data.items() if key not in LOADING_KEYS}
    opened = build(source, "data")
    if not isinstance(opened, ImageData):
        raise GraftError(f"data: {data['_target_']} gave {type(opened).__name__}, not graft.data.ImageData")
    return opened


def split_data(data: Mapping[str, Any], opened: ImageData) -> Splits:
    """Give every image its split, as the `data` node says; what a user's own node leaves out has defaults."""
    keys = ("val_fraction", "test_fraction", "folds", "fold", "shots", "fraction")
    return split(opened, **{key: data[key] for key in keys if key in data}, seed=data.get("split_seed", 0))
