"""A backbone for some data: with what it must learn from them first, and made to take their kind."""

from contextlib import nullcontext
from typing import Any

import torch

from graft.backbones.backbone import Backbone
from graft.backbones.making import make_backbone
from graft.configuration.run_config import Node
from graft.data.sample_data import SampleData
from graft.data.samples import Indices, Samples


class TrainingSamples:
    """Those of some samples that train, loaded when asked for."""

    def __init__(self, samples: Samples, indices: Indices) -> None:
        self._samples = samples
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place: int) -> Any:
        return self._samples[int(self._indices[place])]


def backbone_for(node: Node, data: SampleData, trained: Indices, seed: int | None = None) -> Backbone:
    """The backbone that a node builds, its preprocessing made for data of which `trained` train.

    With a seed an untrained network too is the same every time, and nothing is drawn from torch's own stream.

    Raises:
        GraftError: it cannot be built, or takes another kind of input.
    """
    with nullcontext() if seed is None else torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        backbone = make_backbone(node, TrainingSamples(data.samples, trained))
    backbone.preprocessing = data.kind.suited(backbone.preprocessing)
    return backbone
