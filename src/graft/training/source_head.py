"""The head that a backbone was trained with on the source task."""

from pathlib import Path

import torch
from torch import nn

from graft.backbones import Backbone
from graft.errors import GraftError
from graft.training.bundle import load_bundle


def source_head(backbone: Backbone, weights: str | None) -> nn.Module:
    """As `known_source_head`, for co-tuning, which cannot do without.

    Raises:
        GraftError: there was no head, or it is no single linear layer, or code that is not Graft's.
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
            f" backbone.weights={weights} has none that is one linear layer;"
            " give torchvision's weights, or a Graft run or bundle"
        )
    return head


def known_source_head(backbone: Backbone, weights: str | None) -> nn.Module | None:
    """Features `(N, D)` to the source's logits `(N, S)`; draws nothing from the random generators.

    The one that a bundle holds beside the backbone, or the linear layer that came with torchvision's weights.
    SqueezeNet has a ReLU between that layer and the pooling, which is left out here.

    Args:
        backbone: with its weights loaded.
        weights: where they came from.

    Returns:
        The head in single precision; None where the weights hold none, or none that is one linear layer.

    Raises:
        GraftError: the bundle's head is code that is not Graft's, or does not fit.
    """
    if backbone.source_head:
        # Copies, since they are going to be trained.
        state = {name: tensor.float().clone() for name, tensor in backbone.source_head.items()}
        sources, width = state["weight"].shape
        layer = nn.Linear(width, sources, bias="bias" in state, device="meta")
        layer.load_state_dict(state, assign=True)
        return layer
    # The only folders that weights are read from are bundles and runs.
    if weights is not None and Path(weights).is_dir():
        with torch.random.fork_rng(devices=[]):
            bundle = load_bundle(weights)
        return bundle.model.get_submodule("head").float()
    return None
