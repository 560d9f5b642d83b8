"""Where images come from: folders, CSV files, downloads, drawing; importing this imports no torch."""

from typing import TYPE_CHECKING

from graft.lazy import lazily

if TYPE_CHECKING:
    from graft.sources.bundled import digits as digits
    from graft.sources.downloads import torchvision_data as torchvision_data
    from graft.sources.drawing import glyphs as glyphs
    from graft.sources.folders import image_folder as image_folder
    from graft.sources.manifests import csv_manifest as csv_manifest
    from graft.sources.prediction import PathImages as PathImages
    from graft.sources.prediction import collate_readable as collate_readable
    from graft.sources.prediction import find_images as find_images

# Public name to the module that defines it; no module may bear the name of a public function.
_HOMES = {
    "PathImages": "prediction",
    "collate_readable": "prediction",
    "csv_manifest": "manifests",
    "digits": "bundled",
    "find_images": "prediction",
    "glyphs": "drawing",
    "image_folder": "folders",
    "torchvision_data": "downloads",
}

__getattr__ = lazily(__name__, _HOMES)
