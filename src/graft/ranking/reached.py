"""What fine-tuned runs of the same data reached, by the backbone that they started from."""

import functools
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from graft.backbones.at_hand import cached_file
from graft.configuration.key_table import TECHNICAL
from graft.configuration.metric_names import USUAL
from graft.configuration.run_config import Node
from graft.configuration.schema import Config, without
from graft.configuration.weights_place import file_and_place
from graft.runs.bundles import bundle_in
from graft.runs.files import digest_of
from graft.runs.records import Run

# What of a backbone's node changes training alone.
IN_TRAINING = ("weights", "sha256", "drop_path")


class Reached(NamedTuple):
    """The best of several ways to fine-tune one backbone.

    Attributes:
        accuracy: of validation, the mean over the seeds of the way with the highest mean.
        runs: how many runs there were, of all ways.
    """

    accuracy: float
    runs: int


def fine_tuned(runs: Sequence[Run], fingerprint: str) -> list[tuple[Config, float]]:
    """Configuration and validation accuracy of those that finished, training the backbone too.

    The fingerprint is that of the data and its splits, on which they must have trained.
    """
    pairs: list[tuple[Config, float]] = []
    for run in runs:
        if run.status != "finished" or USUAL not in run.metrics:
            continue
        try:
            environment = json.loads(run.folder.environment.read_text(encoding="utf-8"))
            config = run.folder.read_config()
            same = environment["data"]["fingerprint"] == fingerprint
            frozen = config["freeze"]["_target_"].endswith(".Frozen")
        # A run of an early version recorded less.
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if same and not frozen:
            pairs.append((config, float(run.metrics[USUAL])))
    return pairs


def reached_by(node: Node, runs: Sequence[tuple[Config, float]]) -> Reached | None:
    """What was reached from the backbone that `node` builds; None where no run began with it."""
    start = starting_point(node)
    ways: dict[str, list[float]] = defaultdict(list)
    for config, accuracy in runs:
        if starting_point(config["backbone"]) == start:
            way = without(config, ("seed", *TECHNICAL))
            ways[json.dumps(way, sort_keys=True, default=str)].append(accuracy)
    if not ways:
        return None
    return Reached(max(map(mean, ways.values())), sum(map(len, ways.values())))


def starting_point(node: Node) -> str:
    """The network and the content of its weights, so that a file is the same wherever it lies."""
    network = {key: value for key, value in node.items() if key not in IN_TRAINING}
    return json.dumps([network, _content(node)], sort_keys=True, default=str)


_digest = functools.cache(digest_of)


def _content(node: Node) -> str:
    """SHA-256 of the weights' file; the word itself where there is no file."""
    weights = node.get("weights")
    if weights is None:
        return "none"
    path, place = file_and_place(weights)
    file: Path | None
    if (bundle := bundle_in(path)) is not None:
        file = bundle.weights
    else:
        file = path if path.exists() else cached_file(node)
    if file is None or not file.is_file():
        return str(weights)
    return f"{_digest(file)}:{place}" if place else _digest(file)
