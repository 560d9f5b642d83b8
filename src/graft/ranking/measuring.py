"""What is said of each backbone that is ranked: its scores, its costs, or why it is left out."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from graft.backbones import Backbone, source_network
from graft.configuration.run_config import Node
from graft.errors import GraftError, reason_of
from graft.models.source_head import known_source_head
from graft.processes.lightning import lone_device
from graft.ranking.candidates import Candidate
from graft.ranking.costs import Cost, cost_of
from graft.reporting.ranking import Row
from graft.transferability import all_scores
from graft.transferability.scores import NAMES

# Of a backbone and what it is called `(N, D)`: what it gives for the images to rank on.
Features = Callable[[Backbone, str], Tensor]


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
    row = {"place": None, "backbone": candidate.label, "weights": candidate.weights, **dict.fromkeys(NAMES)}
    try:
        if candidate.problem is not None:
            raise GraftError(candidate.problem)
        print(f"{candidate.label}:", flush=True)
        backbone = backbone or make(candidate.node)
        scores = scores_of(backbone, candidate, features, labels, seed, groups)
        cost = cost or cost_of(backbone, lone_device(accelerator), batch_size)
        return {**row, **scores, "features": backbone.width, **cost._asdict(), "reason": None}
    # What a network, its weights, its files or the memory may do; anything else is a fault of ours.
    except (GraftError, RuntimeError, MemoryError, OSError, ValueError) as error:
        reason = reason_of(error)
        print(f"{candidate.label} is left out: {reason}", flush=True)
        return {**row, "reason": reason}
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
