"""The backbones to rank: those that are asked for, or all whose weights are at hand."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from graft.backbones.at_hand import WEIGHTS_DIR, weights_at_hand
from graft.configuration.network_names import AT_HAND, nodes_by_name
from graft.configuration.run_config import Node
from graft.errors import GraftError


@dataclass(frozen=True)
class Candidate:
    """One backbone with one set of weights.

    Attributes:
        name: an option of the group `backbone`, or a library's name.
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
    asked: str | Sequence[str] | None,
    given: Mapping[str, str | Sequence[str | None] | None],
    image_size: int | None = None,
) -> list[Candidate]:
    """The backbones to rank, those of one name with several weights one by one.

    Args:
        options: the options of the group `backbone`.
        asked: names; `at_hand`, or None: all whose weights are.
        given: name to its weights: a file, a folder, a name of the library's, None for an untrained network,
            or a list of these.
        image_size: pixels that they see; None: each its own.

    Raises:
        GraftError: a name is no backbone's, or no weights are at hand.
    """
    names = [] if asked in (None, AT_HAND) else list(asked or ())
    known = nodes_by_name(options, names, given)
    ranked: list[Candidate] = []
    for name in names or known:
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
        elif names:
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
    return _labelled([_sized(candidate, image_size) for candidate in ranked])


def _sized(candidate: Candidate, image_size: int | None) -> Candidate:
    """The candidate that sees so many pixels; one that has no key for that says so."""
    if image_size is None:
        return candidate
    if "image_size" not in candidate.node:
        return replace(candidate, problem=f"image_size={image_size}: that backbone has no key image_size")
    return replace(candidate, node={**candidate.node, "image_size": image_size})


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
