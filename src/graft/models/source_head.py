"""The head that a backbone was trained with on the source task."""

import copy
from pathlib import Path

import torch

from graft.backbones import Backbone, SourceHead
from graft.errors import GraftError
from graft.models.bundle_files import load_bundle


def source_head(backbone: Backbone, weights: str | None) -> SourceHead:
    """As `known_source_head`, for co-tuning, which cannot do without.

    Raises:
        GraftError: there was no head, or it has more than a last layer, or it is code that is not Graft's.
    """
    try:
        head = known_source_head(backbone, weights)
    except GraftError as error:
        # Another's code may not come in here, so the words about `trust` would mislead.
        reason = str(error).partition("; add trust=")[0]
        raise GraftError(f"regularizer=co_tuning cannot take the source's head: {reason}") from error
    if head is None:
        raise GraftError(
            "regularizer=co_tuning asks the head that the backbone was trained with, and"
            f" backbone.weights={weights} has none that is one layer;"
            " give torchvision's weights, or a Graft run or bundle"
        )
    return head


def known_source_head(backbone: Backbone, weights: str | None) -> SourceHead | None:
    """What gave the source's logits `(N, S)`, whole; draws nothing from the random generators.

    The one that a bundle holds beside the backbone, or the last layers that came with torchvision's weights,
    for a backbone that has loaded them from `weights`.

    Returns:
        The head in single precision; None where the weights hold none, or one of several layers with weights.

    Raises:
        GraftError: the bundle's head is code that is not Graft's, or does not fit.
    """
    if backbone.source_head is not None:
        # A copy, since it is going to be trained.
        layers = copy.deepcopy(backbone.source_head.layers).float().requires_grad_()
        return backbone.source_head._replace(layers=layers)
    # The only folders that weights are read from are bundles and runs.
    if weights is not None and Path(weights).is_dir():
        with torch.random.fork_rng(devices=[]):
            bundle = load_bundle(weights)
        return SourceHead(bundle.head.float())
    return None
