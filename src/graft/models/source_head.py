"""The head that a backbone was trained with on the source task."""

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from graft.backbones import Backbone, SourceHead
from graft.configuration.paths import expanded
from graft.errors import GraftError
from graft.models.bundle_files import load_bundle, read_description
from graft.models.head import Standardize
from graft.runs.bundles import bundle_folder


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


def kept_head(width: int, class_names: Sequence[str], weights: str, trust: Iterable[str] = ()) -> nn.Module:
    """What `head=source` is: the head of a bundle, whole, to go on with; draws nothing.

    Its attribute `rebuilt` is the node that builds it. A `Standardize` of it is put into the layer behind,
    since another set of images would fit it anew.

    Args:
        width: D, of the backbone that has loaded the same weights.
        class_names: the C classes, in the order that the logits are to have.
        weights: the bundle or run folder.
        trust: packages of your own that its backbone or head come from.

    Raises:
        GraftError: it is no bundle, its classes are others, its code is not trusted, or its head takes other
            features.
    """
    begin = f"head=source goes on with the head of backbone.weights={weights}"
    if not expanded(weights).is_dir():
        raise GraftError(f"{begin}, which is no Graft run or bundle; give one, or head=linear")
    folder = bundle_folder(weights, "backbone.weights")
    with torch.random.fork_rng(devices=[]):
        bundle = load_bundle(folder.path, trust)
    names = bundle.class_names
    if len(names) != len(class_names) or set(names) != set(class_names):
        of_one = ", ".join(sorted(set(class_names) ^ set(names))[:5])
        raise GraftError(f"{begin}, whose classes are not the data's: {of_one} stand in one alone")
    if bundle.backbone.width != width:
        raise GraftError(
            f"{begin}, which takes {bundle.backbone.width} features; the backbone gives {width}, so a key of"
            " it differs from the run's"
        )
    head, node = _unstandardized(bundle.head.float(), dict(read_description(folder)["head"]))
    order = [names.index(name) for name in class_names]
    if order != sorted(order):
        *_, last = head.modules()
        if not isinstance(last, nn.Linear):
            raise GraftError(f"{begin}, whose classes stand in another order than the data's")
        with torch.no_grad():
            for parameter in last.parameters():
                parameter.copy_(parameter[order].clone())
    head.rebuilt = node  # type: ignore[assignment]
    return head


@torch.no_grad()
def _unstandardized(head: nn.Module, node: dict[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    """The same function without `Standardize`, and its node.

    With V = W / d, ((x − m) / d) · Wᵀ + b = x · Vᵀ + b − V · m.
    """
    match list(head.children()):
        case [*first, Standardize() as standardize, nn.Linear() as dense]:
            layer = nn.Linear(dense.in_features, dense.out_features, device="meta").to_empty(device="cpu")
            weight = dense.weight.double() / standardize.deviation.double()
            layer.weight.copy_(weight)
            layer.bias.copy_(-weight @ standardize.mean.double() + (0 if dense.bias is None else dense.bias))
            return nn.Sequential(*first, layer), {**node, "standardize": False, "bias": True}
    return head, node
