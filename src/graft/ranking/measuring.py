"""What is said of each backbone that is ranked: its scores, its costs, or why it is left out."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from graft.backbones import Backbone, source_network
from graft.configuration.run_config import Node
from graft.errors import GraftError, reason_of
from graft.models.source_head import known_source_head
from graft.processes.lightning import lone_device
from graft.ranking.candidates import Candidate
from graft.ranking.costs import Cost, cost_of, costs_of_stages
from graft.reporting.ranking import Row
from graft.transferability import all_scores
from graft.transferability.scores import NAMES

Found = TypeVar("Found")
# Of a backbone and what it is called `(N, D)`: what it gives for the images to rank on.
Features = Callable[[Backbone, str], Tensor]
# By stage `(N, C)`: what it gives for them, the mean over its places.
StageFeatures = Callable[[Backbone, str], Mapping[str, Tensor]]


def row_of(
    candidate: Candidate,
    make: Callable[[Node], Backbone],
    features: Features,
    labels: np.ndarray,
    seed: int,
    accelerator: str,
    batch_size: int,
    groups: Sequence[str] | None = None,
    backbone: Backbone | None = None,
    cost: Cost | None = None,
) -> Row:
    """All that is said of a backbone; of one that fails, the reason alone, so that the others go on.

    The images have labels `(N,)`. The seed is that of untrained networks and of the probe's folds. Costs are
    measured on the accelerator with batches of so many images. `make` builds a backbone from its node. One
    that is built is not built again, and a cost that is known not measured. What `groups` names alike no fold
    of the probe divides.
    """
    row = _empty(candidate)

    def measure() -> Row:
        built = _built(candidate, make if backbone is None else lambda node: backbone)
        scores = scores_of(built, candidate, features, labels, seed, groups)
        spent = cost or cost_of(built, lone_device(accelerator), batch_size)
        return {**row, **scores, "features": built.width, **spent._asdict(), "reason": None}

    found = _or_reason(candidate, measure)
    return {**row, "reason": found} if isinstance(found, str) else found


def stage_rows(
    candidate: Candidate,
    make: Callable[[Node], Backbone],
    features: Features,
    each_stage: StageFeatures,
    labels: np.ndarray,
    seed: int,
    accelerator: str,
    batch_size: int,
    groups: Sequence[str] | None = None,
) -> list[Row]:
    """As `row_of`, a row a stage: the scores of what it gives, and the costs of all stages up to it.

    Only the last stage's features enter the source's head, so only they have what is said of that. A backbone
    that runs as one block has a row.
    """
    row = {"stage": None, "stages": None, **_empty(candidate)}

    def measure() -> list[Row]:
        backbone = _built(candidate, make)
        names = backbone.stage_names
        whole = not backbone.splits
        given = (
            {names[-1]: features(backbone, candidate.name)} if whole else each_stage(backbone, candidate.name)
        )

        def last(network: Backbone, label: str) -> Tensor:
            return given[names[-1]] if network is backbone else features(network, label)

        scores: list[Mapping[str, float | None]] = [
            all_scores(found.double().numpy(), labels, None, seed, groups)
            for found in list(given.values())[:-1]
        ]
        scores.append(scores_of(backbone, candidate, last, labels, seed, groups))
        device = lone_device(accelerator)
        costs = (
            [cost_of(backbone, device, batch_size)]
            if whole
            else costs_of_stages(backbone, device, batch_size)
        )
        widths = [found.shape[1] for found in given.values()]
        return [
            {
                **row,
                "stage": name,
                "stages": names.index(name) + 1,
                **said,
                "features": width,
                **cost._asdict(),
                "reason": None,
            }
            for name, said, width, cost in zip(given, scores, widths, costs, strict=True)
        ]

    rows = _or_reason(candidate, measure)
    return [{**row, "reason": rows}] if isinstance(rows, str) else rows


def _empty(candidate: Candidate) -> Row:
    return {"place": None, "backbone": candidate.label, "weights": candidate.weights, **dict.fromkeys(NAMES)}


def _built(candidate: Candidate, make: Callable[[Node], Backbone]) -> Backbone:
    """The backbone, told of.

    Raises:
        GraftError: it cannot be built.
    """
    if candidate.problem is not None:
        raise GraftError(candidate.problem)
    print(f"{candidate.label}:", flush=True)
    return make(candidate.node)


def _or_reason(candidate: Candidate, measure: Callable[[], Found]) -> Found | str:
    """What is measured of a candidate, or why it is left out, which is told."""
    try:
        return measure()
    # What a network, its weights, its files or the memory may do; anything else is a fault of ours.
    except (GraftError, RuntimeError, MemoryError, OSError, ValueError) as error:
        reason = reason_of(error)
        print(f"{candidate.label} is left out: {reason}", flush=True)
        return reason
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def scores_of(
    backbone: Backbone,
    candidate: Candidate,
    features: Features,
    labels: np.ndarray,
    seed: int,
    groups: Sequence[str] | None = None,
) -> Mapping[str, float | None]:
    """The scores of one backbone, as in `row_of`.

    Raises:
        GraftError: the source's head does not fit, or an image cannot be read.
    """
    given, probabilities = features(backbone, candidate.name).float(), None
    if (head := known_source_head(backbone, candidate.node.get("weights"))) is not None:
        with torch.no_grad():
            logits = head.layers.cpu()(given) if not head.replaces else None
            # A head that takes no features costs a pass over the images of its own.
            if logits is None:
                label = f"{candidate.name} with its source's head"
                logits = features(source_network(backbone, head), label).float()
        probabilities = torch.softmax(logits.double(), 1).numpy()
    return all_scores(given.double().numpy(), labels, probabilities, seed, groups)
