"""What a whole backbone gives for some images, from the cache as far as it has it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graft.backbones import Backbone
from graft.backbones.inputs import moved
from graft.data import SampleData, evaluation_transform
from graft.data.cache_location import cache_folder
from graft.data.samples import Indices
from graft.features.fast import FastPrefix
from graft.features.sample_features import SampleFeatures
from graft.features.store import FeatureStore
from graft.processes.lightning import lone_device


def features_of(
    backbone: Backbone,
    label: str,
    data: SampleData,
    indices: Indices,
    *,
    accelerator: str,
    cache: Mapping[str, Any],
    batch_size: int,
    num_workers: int | None,
    fast: bool = False,
) -> Tensor:
    """`(N, D)`: the features of the images of these indices `(N,)`; `fast` in half precision, else float32.

    Raises:
        SampleError: an image cannot be read.
    """
    device = lone_device(accelerator)
    backbone.to(device)
    prefix = FastPrefix(backbone.stages.values()) if fast else backbone
    store = FeatureStore(cache_folder(cache["dir"]) / "features", cache["max_bytes"])
    features = SampleFeatures(
        store,
        backbone,
        data.samples,
        evaluation_transform(backbone.preprocessing),
        lambda given, stop: prefix(moved(given, device)),
        {"device": device.type, "precision": "fast" if fast else "32-true", "channels_last": fast},
        label=label,
        batch_size=batch_size,
        num_workers=num_workers,
    )
    stop, image_bytes = len(backbone), backbone.width * (2 if fast else 4)
    if not (lacking := features.lacking(stop, indices)):
        print(
            f"cache: what {label} gives is all stored already, {len(indices):,} {data.kind.plural}",
            flush=True,
        )
    if why := store.room_for(lacking * image_bytes):
        print(f"cache: not used: {why}")
        return torch.cat(list(features.compute(stop, indices)))
    try:
        return features.get(stop, indices, image_bytes=image_bytes).take(np.arange(len(indices)))
    except OSError as error:
        # The folder is another user's, or the disk is full.
        print(f"cache: not used: {store.path} cannot be used ({error.strerror or error})", flush=True)
        return torch.cat(list(features.compute(stop, indices)))
