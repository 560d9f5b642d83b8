"""From a `backbone` node of a configuration to the backbone, and to what it is called."""

import inspect
from pkgutil import resolve_name
from typing import Any, Protocol

from graft.backbones.backbone import Backbone
from graft.configuration.building import build, build_later, with_todays_names
from graft.configuration.run_config import Node
from graft.errors import GraftError


class Training(Protocol):
    """The samples to train on, as they are loaded."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, place: int) -> Any:
        """One of them."""


def make_backbone(node: Node, training: Training = ()) -> Backbone:
    """The backbone with its weights.

    Args:
        node: builds it.
        training: given to a function that has an argument of this name, such as one that needs a vocabulary.

    Raises:
        GraftError: the weights cannot be had, or do not fit.
    """
    backbone = build_later(node, "backbone")(training=training) if _learns(node) else build(node, "backbone")
    if not isinstance(backbone, Backbone):
        kind = type(backbone).__name__
        raise GraftError(f"backbone: {node['_target_']} gave {kind}, not graft.backbones.Backbone")
    return backbone


def _learns(node: Node) -> bool:
    """Whether what the node names has an argument `training`."""
    try:
        return "training" in inspect.signature(resolve_name(with_todays_names(node)["_target_"])).parameters
    except (ImportError, AttributeError, KeyError, TypeError, ValueError):
        # `build` says what is wrong with it.
        return False


def backbone_name(node: Node) -> str:
    """The name of the backbone that a node builds."""
    return str(node.get("name") or node["_target_"].rpartition(".")[2])
