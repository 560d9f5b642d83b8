"""How labels, and a target domain, look to a backbone. Importing this imports torch."""

from dataclasses import replace

import numpy as np
from torch import Tensor

from graft.backbones import Backbone
from graft.configuration.schema import Config
from graft.data import SampleData
from graft.data.domains import TargetDomain
from graft.data.samples import Indices
from graft.errors import GraftError
from graft.features.whole_backbone import features_of
from graft.inspection.domain_gap import DomainGap, belonging_of, class_shares, drawn, told_apart
from graft.inspection.inspection import Inspection
from graft.inspection.suspects import suspects_of
from graft.objective.out_of_fold import out_of_fold

# Samples of each domain without which nothing can be said.
FEWEST = 20


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
        features = _features(backbone, label, data, indices, config)
        said = out_of_fold(features, labels, classes, inspection.belonging(indices), config["seed"])
    return replace(inspection, suspects=suspects_of(labels, said, indices, label))


def with_gap(
    inspection: Inspection, target: TargetDomain, backbone: Backbone, label: str, config: Config
) -> Inspection:
    """The same inspection with how well the backbone's features tell its samples from the target's.

    Test samples of neither domain are looked at, nor are samples that cannot be read.

    Raises:
        GraftError: too few samples are left, or one cannot be read after all.
    """
    source, data = inspection.data, target.data
    wanted = np.concatenate([inspection.splits["train"], inspection.splits["val"]])
    known = np.array([i for i in wanted.tolist() if not isinstance(inspection.looks[i], str)], np.int64)
    others = np.concatenate([target.splits["train"], target.splits["val"]])
    indices = drawn(known, others, config["seed"])
    if len(indices[0]) < FEWEST:
        raise GraftError(
            f"target: to compare domains takes {FEWEST} {data.kind.plural} of each that train or validate"
        )
    features = [
        _features(backbone, label, samples, some, config).numpy()
        for samples, some in zip((source, data), indices, strict=True)
    ]
    together = [
        None if samples.together is None else [samples.together[index] for index in some]
        for samples, some in zip((source, data), indices, strict=True)
    ]
    belonging = belonging_of(*together, lengths=(len(indices[0]), len(indices[1])))
    right, of = told_apart(features[0], features[1], belonging, config["seed"])
    return replace(inspection, gap=DomainGap(label, right, of, class_shares(source, target)))


def _features(backbone: Backbone, label: str, data: SampleData, indices: Indices, config: Config) -> Tensor:
    """Features `(N, D)` float32 of some samples, which are kept."""
    features = features_of(
        backbone,
        label,
        data=data,
        indices=indices,
        accelerator=config["accelerator"],
        cache=config["cache"],
        batch_size=config["data"].get("batch_size", 32),
        num_workers=config["data"].get("num_workers"),
    ).float()
    if not features.isfinite().all():
        raise GraftError(f"backbone: {label} gives features that are NaN or infinite")
    return features
