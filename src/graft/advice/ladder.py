"""How much of a backbone to retrain: the steps, the simplest first, and the words of each training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graft.composition.words import quoted
from graft.configuration.keys import SEARCHPATH, key_of
from graft.configuration.network_names import TARGETS
from graft.configuration.run_config import Node
from graft.ranking.candidates import Candidate


@dataclass(frozen=True)
class Step:
    """One way to retrain.

    Attributes:
        name: of the freeze strategy.
        words: that lead to it.
        says: what it does, for a person who does not know the strategy.
    """

    name: str
    words: tuple[str, ...]
    says: str


# From the simplest on. What is left out, lp_ft, gradual and freeze_unfreeze, was on no task better than these
# by more than its noise (experiments/how-much-to-retrain, experiments/fine-tuning).
LADDER = (
    Step("frozen", ("freeze=frozen",), "the backbone stays, a new head is solved on its features"),
    Step("last_k", ("freeze=last_k", "freeze.k=2"), "the last two stages are retrained with the head"),
    Step("lora", ("freeze=lora", "optimizer.lr=1e-3"), "small adapters are trained beside all layers"),
    Step(
        "full", ("freeze=full", "optimizer.layer_decay=0.75"), "everything is retrained, early stages slower"
    ),
)
SOLVED = LADDER[0]
# The keys of an advice that its trainings have too, words below them included.
SHARED = ("data", "trainer", "cache", "threads", "channels_last", "seed", SEARCHPATH)


def words_of(candidate: Candidate, options: Mapping[str, Node]) -> list[str]:
    """The words that mean a backbone with its weights, and the pixels that it sees if that was asked for."""
    node: Mapping[str, Any] = candidate.node
    library = TARGETS.get(str(node.get("_target_")))
    if candidate.name in options:
        words = [f"backbone={candidate.name}"]
    else:
        words = [f"backbone={library}", quoted("backbone.name", str(node["name"]))]
    if node.get("revision") is not None:
        words.append(quoted("backbone.revision", str(node["revision"])))
    if "weights" in node:
        weights = node["weights"]
        words.append("backbone.weights=null" if weights is None else quoted("backbone.weights", str(weights)))
    own = options.get(candidate.name) or options.get(str(library)) or {}
    if (image_size := node.get("image_size")) != own.get("image_size"):
        words.append(f"backbone.image_size={image_size}")
    return words


def shared_words(words: Sequence[str]) -> list[str]:
    """Those of an advice's words that its trainings have too, and what it adds unless they say otherwise.

    Copies are kept together, and the test set is drawn by itself, so that folds leave it out.
    """
    kept = [word for word in words if _of(key_of(word), SHARED)]
    given = {key_of(word): word.partition("=")[2] for word in kept}
    added = {
        "data.keep_copies_together": "true",
        "data.test_seed": given.get("data.split_seed", "0"),
    }
    return [*kept, *(f"{key}={value}" for key, value in added.items() if key not in given)]


def data_words(words: Sequence[str]) -> list[str]:
    """Those of an advice's words that say which images, with what it adds, for the same splits."""
    typed = [word.lstrip("+") for word in words]
    return [word for word in shared_words(typed) if _of(key_of(word), ("data", SEARCHPATH))]


def _of(key: str, keys: Sequence[str]) -> bool:
    """Whether a key is one of these, or below one."""
    return key in keys or key.partition(".")[0] in keys
