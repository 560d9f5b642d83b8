"""The target domain of a run: opened as at its beginning, loaded beside the source, adapted to."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graft.adaptation import AdaBN
from graft.backbones import Backbone
from graft.configuration.building import build
from graft.configuration.run_config import Node, RunConfig
from graft.configuration.schema import UNADAPTED
from graft.data import SampleData, SampleDataModule, Splits, split_from_rows
from graft.data.domains import TargetDomain
from graft.data.randomness import random_stream
from graft.data.samples import Indices
from graft.data.sharing import batch_count
from graft.errors import GraftError
from graft.runs import RunFolder
from graft.runs.files import read_csv
from graft.sources.target import open_target

# Keys of `adapt` that say how two domains are trained on, whatever the method.
OF_DOMAINS = ("select", "norm", "epoch_of")
# Validation samples of each domain that every score can be computed of.
FEWEST = 2
# What tells the draws of a method's own weights from those of a new head.
ADAPTATION = 1


def target_of(node: Node, source: SampleData, begun: RunFolder | None) -> TargetDomain:
    """The samples that the `target` node names, divided as the run has recorded, if it has begun.

    Raises:
        GraftError: there is nothing usable there, or the samples are no longer those of the run.
    """
    target = open_target(node, source)
    if begun is None or not begun.target_split.is_file():
        return target
    # The split follows from the samples' content, so it is the recorded one unless samples are others.
    recorded = {row["sha256"]: row["split"] for row in read_csv(begun.target_split)}
    of_each, identity = target.splits.of_each(), target.data.identity
    for index, name in enumerate(target.data.samples.names):
        if recorded.get(identity(index)) != of_each[index]:
            raise GraftError(
                f"target: {name} is another sample than those of {begun.target_split}, or divided otherwise; "
                "a run goes on with the samples that it began with"
            )
    return target


def recorded_split(path: Path, data: SampleData) -> Splits:
    """The split that a run has recorded.

    Raises:
        GraftError: the data is not what was divided.
    """
    try:
        return split_from_rows(read_csv(path), data, str(path))
    except GraftError as error:
        raise GraftError(f"{error}; a run goes on with the images that it began with") from error


def put_beside(adapt: Node, source: SampleDataModule, target: SampleDataModule, size: int) -> None:
    """Let the target's batches stand beside the source's, for `size` processes that train together.

    Raises:
        GraftError: a domain has too few validation samples, or the processes cannot share the target's
            batches.
    """
    for key, domain in (("data", source), ("target", target)):
        if len(domain.splits["val"]) < FEWEST:
            raise GraftError(
                f"{key}.val_fraction leaves {len(domain.splits['val'])} validation samples; with a target it "
                f"takes {FEWEST} of each domain to choose the epoch"
            )
    source.beside = target
    method = str(adapt["_target_"])
    source.paired = method != UNADAPTED and not method.endswith(f".{AdaBN.__name__}")
    if not source.paired:
        return
    if target.batch_size % size:
        raise GraftError(
            f"target.batch_size={target.batch_size} is the batch of all {size} processes together; it must "
            f"be a multiple of {size}"
        )
    longer = source if adapt["epoch_of"] == "source" else target
    source.steps = target.steps = batch_count(len(longer.splits["train"]), longer.batch_size, size)


def domain_settings(
    config: RunConfig, backbone: Backbone, target: TargetDomain, classes: int
) -> dict[str, Any]:
    """What `AdaptingModule` takes beside what every module does.

    Raises:
        GraftError: the method refuses its settings.
    """
    adapt = config.adapt
    node = {key: value for key, value in adapt.items() if key not in OF_DOMAINS}
    with random_stream(config.seed, fingerprint_of(backbone), ADAPTATION):
        if (adaptation := build(node, "adapt")) is not None:
            adaptation.prepare(backbone.width, classes)
    return {
        "adaptation": adaptation,
        "select": adapt["select"],
        "norm": adapt["norm"],
        "oracle": None if target.labels is None else partial(share_right, target.labels),
    }


def share_right(labels: Indices, indices: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """The share of samples `(M,)` whose predicted class is theirs, of the labels of all `(N,)`."""
    return float((labels[indices] == predicted).mean())


def fingerprint_of(backbone: Backbone) -> int:
    """A whole number that depends on the backbone's weights.

    A new head is drawn from it and the seed. Drawn from the seed alone, it would begin as the head did with
    which the backbone was trained at the same seed, and so close to that head's answers.
    """
    *_, last = torch.zeros(1), *backbone.parameters()
    data = last.detach().cpu().float().contiguous().numpy().tobytes()
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
