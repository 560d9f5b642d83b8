"""Data sets, splits, transforms and the LightningDataModule. Importing this package imports no torch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graft.data.drawing import glyphs as glyphs
    from graft.data.facts import DataFacts as DataFacts
    from graft.data.folders import image_folder as image_folder
    from graft.data.handwriting import digits as digits
    from graft.data.image_data import ImageData as ImageData
    from graft.data.image_data import ImageSet as ImageSet
    from graft.data.images import ImageError as ImageError
    from graft.data.images import read_image as read_image
    from graft.data.images import to_rgb as to_rgb
    from graft.data.loading import ImageDataModule as ImageDataModule
    from graft.data.loading import worker_count as worker_count
    from graft.data.manifests import csv_manifest as csv_manifest
    from graft.data.prediction import PathImages as PathImages
    from graft.data.prediction import collate_readable as collate_readable
    from graft.data.prediction import find_images as find_images
    from graft.data.splits import Division as Division
    from graft.data.splits import divide as divide
    from graft.data.torchvision_sets import torchvision_set as torchvision_set
    from graft.data.transforms import evaluation_transform as evaluation_transform
    from graft.data.transforms import training_transform as training_transform

# The keys of the `data` group that say how images are divided and batched; the others are the source's own.
DIVIDING_KEYS = ("val_fraction", "test_fraction", "split_seed", "shots", "fraction")
LOADING_KEYS = ("batch_size", "num_workers", *DIVIDING_KEYS)

_HOMES = {
    "drawing": ("glyphs",),
    "facts": ("DataFacts",),
    "folders": ("image_folder",),
    "handwriting": ("digits",),
    "image_data": ("ImageData", "ImageSet"),
    "images": ("ImageError", "read_image", "to_rgb"),
    "loading": ("ImageDataModule", "worker_count"),
    "manifests": ("csv_manifest",),
    "prediction": ("PathImages", "collate_readable", "find_images"),
    "splits": ("Division", "divide"),
    "torchvision_sets": ("torchvision_set",),
    "transforms": ("evaluation_transform", "training_transform"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name's module when the name is first used."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
