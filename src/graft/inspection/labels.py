"""How the labels of train and val look to a backbone. Importing this imports torch."""

from dataclasses import replace

import numpy as np

from graft.backbones import Backbone
from graft.configuration.schema import Config
from graft.errors import GraftError
from graft.features.whole_backbone import features_of
from graft.inspection.inspection import Inspection
from graft.inspection.suspects import suspects_of
from graft.objective.out_of_fold import out_of_fold


def with_suspects(inspection: Inspection, backbone: Backbone, label: str, config: Config) -> Inspection:
    """The same inspection with what heads on the backbone's features say of each label out of fold.

    Images that cannot be read are left out. So are test images: a test whose labels were put right by what a
    backbone says of them would favour that backbone.

    Args:
        inspection: the images, already looked at.
        backbone: gives the features, which are kept.
        label: what it is called.
        config: of `graft inspect`: `data`, `accelerator`, `cache`, `seed`.

    Raises:
        GraftError: an image cannot be read after all.
    """
    data, splits = inspection.data, inspection.splits
    wanted = np.sort(np.concatenate([splits["train"], splits["val"]]))
    indices = np.array([i for i in wanted.tolist() if not isinstance(inspection.looks[i], str)], np.int64)
    labels, classes = data.samples.labels[indices], len(data.class_names)
    said = np.full((len(indices), classes), np.nan)
    if len(np.unique(labels)) > 1:
        features = features_of(
            backbone,
            label,
            data,
            indices,
            accelerator=config["accelerator"],
            cache=config["cache"],
            batch_size=config["data"].get("batch_size", 32),
            num_workers=config["data"].get("num_workers"),
        ).float()
        if not features.isfinite().all():
            raise GraftError(f"backbone: {label} gives features that are NaN or infinite")
        said = out_of_fold(features, labels, classes, inspection.belonging(indices), config["seed"])
    return replace(inspection, suspects=suspects_of(labels, said, indices, label))
