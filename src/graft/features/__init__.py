"""The feature cache: what a frozen prefix makes of an image is computed once and kept on disk.

An entry is a folder named by its key, which says how boundary tensors are computed; in it, tensors are found
by the content of their image. Importing this package imports no torch.
"""

from typing import TYPE_CHECKING

from graft.lazy import lazily

if TYPE_CHECKING:
    from graft.features.image_features import ImageFeatures as ImageFeatures
    from graft.features.loading import BoundaryLoader as BoundaryLoader
    from graft.features.store import FeatureStore as FeatureStore
    from graft.features.store import Stored as Stored

_HOMES = {
    "image_features": ("ImageFeatures",),
    "loading": ("BoundaryLoader",),
    "store": ("FeatureStore", "Stored"),
}

__getattr__ = lazily(__name__, _HOMES)
