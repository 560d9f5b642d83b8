"""What each backbone takes on this machine: built once, measured on a few images, handed on to be ranked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from graft.backbones import Backbone
from graft.data import SampleData, TransformedSamples, evaluation_transform
from graft.data.backbone_for import backbone_for
from graft.data.samples import Indices
from graft.errors import GraftError
from graft.features.extraction import evaluating
from graft.processes.lightning import lone_device
from graft.processes.timing import timed
from graft.ranking.candidates import Candidate
from graft.ranking.costs import Cost, cost_of
from graft.transferability.linear_probe import FOLDS, PENALTIES

# Images that are read and decoded to measure how long that takes, and rows of a product for the same.
SOME, ROWS = 16, 256
# Seconds after which no more of those are timed.
PRODUCTS = 0.02


@dataclass(frozen=True)
class Speed:
    """What a backbone takes on this machine.

    Attributes:
        forward: seconds of an image's forward pass.
        reading: seconds to read, decode and transform an image.
        pixels: of a side of what it sees.
        scoring: seconds an image that its scores take, once it has features.
    """

    forward: float
    reading: float
    pixels: int
    scoring: float = 0.0

    @property
    def a_pass(self) -> float:
        """Seconds an image of a pass without a gradient."""
        return self.forward + self.reading

    @property
    def to_rank(self) -> float:
        """Seconds an image to rank by."""
        return self.a_pass + self.scoring


class Measured(NamedTuple):
    """A backbone that can be built, and what it takes.

    Attributes:
        candidate: which.
        speed: what it takes.
        cost: counted and measured, as `graft rank` has it; None where it was not.
        backbone: as it was built, on the CPU; None where it is to be built again.
    """

    candidate: Candidate
    speed: Speed
    cost: Cost | None = None
    backbone: Backbone | None = None


def measured(
    candidate: Candidate,
    data: SampleData,
    indices: Indices,
    trained: Indices,
    node: Mapping[str, Any],
    accelerator: str,
    seed: int,
) -> Measured:
    """Build a backbone and measure it on a few images.

    Raises:
        GraftError: it cannot be built, or an image cannot be read.
    """
    if candidate.problem is not None:
        raise GraftError(candidate.problem)
    backbone = backbone_for(candidate.node, data, trained, seed)
    size = min(node.get("batch_size", 32), SOME, len(indices))
    images = TransformedSamples(data.samples, indices[:size], evaluation_transform(backbone.preprocessing))
    # The first image pays for what is set up once.
    images.__getitems__([0])
    # Once, since a second time the disk is not asked.
    times = timed(lambda: images.__getitems__(list(range(size))), warm_up=0, calls=1)
    reading = times.median / size
    with evaluating(backbone):
        cost = cost_of(backbone, lone_device(accelerator), size)
    scoring = seconds_to_score(backbone.width)
    speed = Speed(1 / cost.images_per_second, reading, backbone.preprocessing.side, scoring)
    return Measured(candidate, speed, cost, backbone.to("cpu"))


def seconds_to_score(width: int) -> float:
    """Seconds an image that the scores of features of this width take, of enough images, on this machine.

    Most of it is the probe's: of each penalty and each fold a product with a square matrix of this width.
    """
    rows, square = np.ones((ROWS, width)), np.ones((width, width))
    times = timed(lambda: rows @ square, seconds=PRODUCTS)
    return FOLDS * len(PENALTIES) * times.median / ROWS
