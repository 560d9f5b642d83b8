"""What is said of each backbone that there is, before any is built. Imports neither torch nor timm."""

from collections.abc import Mapping
from typing import NamedTuple

from graft.backbones.at_hand import weights_at_hand
from graft.configuration.network_names import library_nodes, network_of
from graft.configuration.run_config import Node


class Listed(NamedTuple):
    """A backbone in the list.

    Attributes:
        name: an option of the group `backbone`, or a library's name.
        text: what it is, or the words that choose it.
        costs: parameters in millions with the classifier, GMACs an image, megabytes of its weights, per cent
            of ImageNet's validation images that are right: as published, empty where nothing is.
        at_hand: where its weights are now; empty where they would have to be fetched, or there are none.
    """

    name: str
    text: str
    costs: tuple[str, ...]
    at_hand: str


def listed(described: Mapping[str, str], options: Mapping[str, Node], library: str | None) -> list[Listed]:
    """The options of the group `backbone`, or a library's other networks.

    Args:
        described: what each option is.
        options: their nodes.
        library: `torchvision` or `timm`; None: the options.
    """
    if library is None:
        return [_row(name, text, options[name]) for name, text in described.items()]
    rows = []
    for name, node in library_nodes(options, library).items():
        # An option of that name and library has been listed.
        if options.get(name, {}).get("name") == name and library == "torchvision":
            continue
        rows.append(_row(name, f"backbone={library} backbone.name={name}", node))
    return rows


def _row(name: str, text: str, node: Node) -> Listed:
    network = network_of(node)
    if network is None:
        return Listed(name, text, ("",) * 4, "")
    millions = "" if network.parameters is None else f"{network.parameters / 1e6:.3g}"
    rest = (_number(value) for value in (network.gmacs, network.megabytes, network.accuracy))
    weights = weights_at_hand(name, node)
    return Listed(name, text, (millions, *rest), "" if weights is None else str(weights))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
