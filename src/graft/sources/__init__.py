"""Where samples come from: folders, CSV files, downloads, drawing; importing this imports no torch."""

from typing import TYPE_CHECKING

from graft.lazy import lazily

if TYPE_CHECKING:
    from graft.sources.bundled import digits as digits
    from graft.sources.downloads import torchvision_data as torchvision_data
    from graft.sources.drawing import glyphs as glyphs
    from graft.sources.folders import image_folder as image_folder
    from graft.sources.hub_sets import hub_data as hub_data
    from graft.sources.manifests import csv_manifest as csv_manifest
    from graft.sources.prediction import ReadableSamples as ReadableSamples
    from graft.sources.prediction import collate_readable as collate_readable
    from graft.sources.prediction import find_images as find_images
    from graft.sources.prediction import find_samples as find_samples
    from graft.sources.prediction import find_sounds as find_sounds
    from graft.sources.sounds import audio_csv as audio_csv
    from graft.sources.sounds import audio_folder as audio_folder
    from graft.sources.tables import find_rows as find_rows
    from graft.sources.tables import table_csv as table_csv
    from graft.sources.texts import text_csv as text_csv

# Module to the public names that it defines; no module may bear the name of a public function.
_HOMES = {
    "bundled": ("digits",),
    "downloads": ("torchvision_data",),
    "drawing": ("glyphs",),
    "folders": ("image_folder",),
    "hub_sets": ("hub_data",),
    "manifests": ("csv_manifest",),
    "prediction": ("ReadableSamples", "collate_readable", "find_images", "find_samples", "find_sounds"),
    "sounds": ("audio_csv", "audio_folder"),
    "tables": ("find_rows", "table_csv"),
    "texts": ("text_csv",),
}

__getattr__ = lazily(__name__, _HOMES)
