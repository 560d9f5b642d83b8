"""From a `backbone` node of a configuration to the backbone, and to what it is called."""

from graft.backbones.backbone import Backbone
from graft.configuration.building import build
from graft.configuration.run_config import Node
from graft.errors import GraftError


def make_backbone(node: Node) -> Backbone:
    """The backbone with its weights.

    Raises:
        GraftError: the weights cannot be had, or do not fit.
    """
    backbone = build(node, "backbone")
    if not isinstance(backbone, Backbone):
        kind = type(backbone).__name__
        raise GraftError(f"backbone: {node['_target_']} gave {kind}, not graft.backbones.Backbone")
    return backbone


def backbone_name(node: Node) -> str:
    """The name of the backbone that a node builds."""
    return str(node.get("name") or node["_target_"].rpartition(".")[2])
