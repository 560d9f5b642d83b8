"""Paths that are read must exist, and paths that are written must be possible. Imports no torch."""

import glob
import os
import re
from collections.abc import Mapping
from typing import Any

from graft.configuration.network_names import TARGETS, is_word
from graft.configuration.paths import check_room, existing, expanded, needed
from graft.configuration.weights_place import file_and_place, is_address
from graft.errors import GraftError
from graft.runs.bundles import bundle_folder, model_folders, weights_file
from graft.runs.records import run_folders

# The form of torchvision's names for weights. torchvision says which of them a network has.
NAMED_WEIGHTS = re.compile(r"DEFAULT|[A-Z0-9]+_[A-Z0-9_]+")
# What can be no name of the hub's.
_LIKE_A_FOLDER = re.compile(r"[./~]|.*/.*/")


def check_paths(config: Mapping[str, Any], command: str) -> None:
    """Check the paths of a checked configuration that a command is about to use.

    What a part of the user's own does with its keys is not known here, so they are not checked.

    Raises:
        GraftError: names the key, the path, and the nearest one that is there.
    """
    for group in ("data", "target"):
        if (node := config.get(group)) is not None:
            _check_data(node, group)
    backbone = config.get("backbone") or {}
    if str(backbone.get("_target_")).startswith("graft.backbones."):
        _check_backbone(backbone)
    if command in ("evaluate", "predict", "export", "serve") or config.get("run") is not None:
        model_folders(needed("run", config["run"]))
    if command == "predict" or (command in ("export", "latency") and config["source"] is not None):
        _check_source("source", needed("source", config["source"]))
    if config.get("unknown") is not None:
        _check_source("unknown", config["unknown"])
    if (teacher := (config.get("distill") or {}).get("teacher")) is not None:
        bundle_folder(teacher, "distill.teacher")
    if command in ("rank", "advise"):
        for name, given in config["weights"].items():
            for weights in given if isinstance(given, list) else [given]:
                check_weights(f"weights.{name}", weights)
    if command in ("rank", "compare", "soup", "latency") and config["runs"] is not None:
        run_folders(config["runs"])
    if (kept := (config.get("cache") or {}).get("dir")) is not None:
        check_room("cache.dir", kept)


def _check_data(data: Mapping[str, Any], group: str) -> None:
    # Keys are asked for by name: a user's own option may leave some out.
    target, root = str(data.get("_target_")).removeprefix("graft.sources."), data.get("root")
    if target == "image_folder":
        existing(f"{group}.root", root, "folder")
    elif target == "csv_manifest":
        existing(f"{group}.file", data.get("file"), "file")
        if root is not None:
            existing(f"{group}.root", root, "folder")
    elif target in ("text_csv", "table_csv"):
        existing(f"{group}.file", data.get("file"), "file")
    elif target == "torchvision_data" and data.get("download", True):
        check_room(f"{group}.root", needed(f"{group}.root", root))
    elif target == "torchvision_data":
        existing(f"{group}.root", root, "folder")


def _check_backbone(node: Mapping[str, Any]) -> None:
    given, sha256 = node.get("weights"), node.get("sha256")
    # Whether timm has weights of a name has been checked where the list knows them.
    libraries = ("timm", "transformers")
    if TARGETS.get(node["_target_"]) == "transformers" and _LIKE_A_FOLDER.match(str(node.get("name"))):
        existing("backbone.name", node["name"], "folder")
    named = given is not None and TARGETS.get(node["_target_"]) in libraries and is_word(given)
    if given is not None and is_address(given):
        if sha256 is None:
            raise GraftError(
                f"backbone.weights={given} needs backbone.sha256=, the 64 hexadecimal digits of its checksum"
            )
    elif sha256 is not None and (given is None or named or NAMED_WEIGHTS.fullmatch(given)):
        raise GraftError(
            f"backbone.sha256={sha256} is for an address or a file, not backbone.weights={given}"
        )
    elif not named:
        check_weights("backbone.weights", given)


def check_weights(key: str, given: str | None) -> None:
    """Check that weights that are no name of torchvision's are a file, a bundle or a run with one.

    Raises:
        GraftError: they are not.
    """
    if given is None or NAMED_WEIGHTS.fullmatch(given):
        return
    if is_address(given):
        raise GraftError(f"{key}={given}: only graft train fetches, with backbone.sha256=; give a file")
    weights_file(existing(key, file_and_place(given)[0], "file or folder"), f"{key}={given}")


def _check_source(key: str, source: str) -> None:
    pattern = str(expanded(source))
    if not os.path.lexists(pattern) and glob.has_magic(pattern):
        if next(glob.iglob(pattern, recursive=True), None) is None:  # noqa: PTH207
            raise GraftError(f"{key}={source}: nothing matches")
        return
    existing(key, source, "file or folder")
