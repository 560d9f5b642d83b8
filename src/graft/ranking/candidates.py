"""The backbones to rank: those that are asked for, or all whose weights are at hand."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torchvision import models

from graft.backbones import supported_names
from graft.configuration.paths import expanded
from graft.configuration.run_config import Node
from graft.errors import GraftError, did_you_mean

WEIGHTS_DIR = "GRAFT_WEIGHTS_DIR"


@dataclass(frozen=True)
class Candidate:
    """One backbone with one set of weights.

    Attributes:
        name: an option of the group `backbone`, or torchvision's name.
        label: what it is called in tables; names the weights where a backbone has several.
        node: builds it.
        problem: why it cannot be built; None where it may.
    """

    name: str
    label: str
    node: Node
    problem: str | None = None

    @property
    def weights(self) -> str:
        """What it starts from, for people to read."""
        return str(self.node.get("weights") or "none")


def candidates(
    options: Mapping[str, Node],
    asked: Sequence[str] | None,
    given: Mapping[str, str | Sequence[str | None] | None],
) -> list[Candidate]:
    """The backbones to rank, those of one name with several weights one by one.

    Args:
        options: the options of the group `backbone`.
        asked: names; None: all whose weights are at hand.
        given: name to its weights: a file, a folder, a name of torchvision's, None for an untrained network,
            or a list of these.

    Raises:
        GraftError: a name is no backbone's, or no weights are at hand.
    """
    # Those options that need nothing more, then torchvision's others.
    known = {name: node for name, node in options.items() if "???" not in node.values()}
    for name in supported_names():
        known.setdefault(name, {**options["torchvision"], "name": name})
    for name in [*(asked or []), *given]:
        if name not in known:
            key = "weights." if name in given else "backbones: "
            raise GraftError(f"{key}{name} is no backbone that there is{did_you_mean(name, known)}")
    ranked: list[Candidate] = []
    for name in asked or known:
        node = known[name]
        if name in given:
            if "weights" not in node:
                raise GraftError(f"weights.{name}: that backbone has no key weights")
            several = given[name]
            if several is None or isinstance(several, str):
                several = [several]
            ranked += [Candidate(name, name, {**node, "weights": weights}) for weights in several]
        elif (at_hand := weights_at_hand(name, node)) is not None:
            ranked.append(Candidate(name, name, {**node, "weights": at_hand}))
        elif asked:
            problem = None
            # Weights that have a name are fetched.
            if "weights" in node and node["weights"] is None:
                problem = (
                    f"no weights: give weights.{name}=<file or run>; weights.{name}=null ranks it untrained"
                )
            ranked.append(Candidate(name, name, node, problem))
    if not ranked:
        raise GraftError(
            "no backbone's weights are at hand: give weights.resnet18=<file> and so on, put <backbone>.pth"
            f" into ${WEIGHTS_DIR}, or name backbones=[…], whose weights are then fetched"
        )
    return _labelled(ranked)


def weights_at_hand(name: str, node: Node) -> str | None:
    """What `backbone.weights` is to be so that nothing is fetched; None where something would have to be.

    A file `<name>.pth` in the folder that `$GRAFT_WEIGHTS_DIR` names, or the node's own in torch's cache.
    """
    if "weights" not in node:
        return None
    folder = os.environ.get(WEIGHTS_DIR)
    if folder and (file := expanded(folder) / f"{name}.pth").is_file():
        return str(file)
    cached = cached_file(node)
    return node["weights"] if cached is not None and cached.is_file() else None


def cached_file(node: Node) -> Path | None:
    """Where torch's cache keeps the weights that a node names; None where torchvision lists none such."""
    name, weights = node.get("name"), node.get("weights")
    if name not in models.list_models(module=models) or not isinstance(weights, str):
        return None
    listed = models.get_model_weights(name).__members__
    if weights not in listed:
        return None
    return Path(torch.hub.get_dir()) / "checkpoints" / str(listed[weights].url).rpartition("/")[2]


def _labelled(unnamed: list[Candidate]) -> list[Candidate]:
    """Names that occur twice, and untrained networks, are told apart by their weights."""
    counts = Counter(candidate.name for candidate in unnamed)
    short = [_short(candidate) for candidate in unnamed]
    pairs = Counter((candidate.name, words) for candidate, words in zip(unnamed, short, strict=True))
    labelled = []
    for candidate, words in zip(unnamed, short, strict=True):
        alone = counts[candidate.name] == 1 and words != "untrained"
        weights = candidate.weights if pairs[candidate.name, words] > 1 else words
        label = candidate.name if alone or candidate.problem else f"{candidate.name} ({weights})"
        labelled.append(replace(candidate, label=label))
    return labelled


def _short(candidate: Candidate) -> str:
    if "weights" in candidate.node and candidate.node["weights"] is None:
        return "untrained"
    return Path(candidate.weights).name
