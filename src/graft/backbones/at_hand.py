"""Which weights are on this machine already, so that nothing is fetched. Imports neither torch nor timm."""

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from graft.backbones.weight_packages import PACKAGES, packaged_file
from graft.configuration.network_names import HUB, PACKAGE, TARGETS, hub_parts, network_of
from graft.configuration.paths import expanded

WEIGHTS_DIR = "GRAFT_WEIGHTS_DIR"


def weights_at_hand(name: str, node: Mapping[str, Any]) -> str | None:
    """What `backbone.weights` is to be so that nothing is fetched; None where something would have to be.

    A file `<name>.pth` in the folder that `$GRAFT_WEIGHTS_DIR` names; or the node's own, of an installed
    package, in torch's cache or in the hub's.

    Args:
        name: what the backbone is called.
        node: builds it.
    """
    if "weights" not in node or not _installed(node):
        return None
    folder = os.environ.get(WEIGHTS_DIR)
    if folder and (file := expanded(folder) / f"{name}.pth").is_file():
        return str(file)
    cached = cached_file(node)
    return node["weights"] if cached is not None and cached.is_file() else None


def cached_file(node: Mapping[str, Any]) -> Path | None:
    """Where the weights that a node names are kept; None where no library lists them, or they are not."""
    library, name = TARGETS.get(str(node.get("_target_"))), str(node.get("name"))
    weights = node.get("weights")
    if library is None or not isinstance(weights, str):
        return None
    if weights == PACKAGE:
        return packaged_file(name) if name in PACKAGES else None
    if name.startswith(HUB):
        repository, revision = hub_parts(name)
        return _in_hub_cache(repository, revision)
    network = network_of(node)
    if network is None or weights not in network.weights:
        return None
    if library == "timm":
        return _in_hub_cache(f"timm/{network.name}.{weights}", "*")
    return torch_cache() / network.files[network.weights.index(weights)]


def torch_cache() -> Path:
    """Where torch keeps the weights that it fetches, by its own rule."""
    if (torch := sys.modules.get("torch")) is not None:
        return Path(torch.hub.get_dir()) / "checkpoints"
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return expanded(home) / "hub" / "checkpoints"


def hub_cache() -> Path:
    """Where the Hugging Face Hub's library keeps what it fetches, by its own rule."""
    if given := os.environ.get("HF_HUB_CACHE"):
        return expanded(given)
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return expanded(home) / "hub"


def _in_hub_cache(repository: str, revision: str) -> Path | None:
    folder = hub_cache() / f"models--{repository.replace('/', '--')}" / "snapshots"
    files = (folder.glob(f"{revision}/{name}") for name in ("model.safetensors", "pytorch_model.bin"))
    return next((file for found in files for file in found), None)


def _installed(node: Mapping[str, Any]) -> bool:
    return TARGETS.get(str(node.get("_target_"))) != "timm" or find_spec("timm") is not None
