"""Which backbones suit the images: measured, ranked as far as the time goes, and those that go on."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from graft.advice.speed import Measured, Speed, measured
from graft.backbones import Backbone
from graft.backbones.at_hand import weights_at_hand
from graft.configuration.network_names import AT_HAND, network_of
from graft.configuration.run_config import Node
from graft.data import SampleData
from graft.data.backbone_for import backbone_for
from graft.data.grouping import together_of
from graft.data.samples import Indices
from graft.errors import GraftError, reason_of
from graft.evaluation.intervals.proportions import NORMAL, proportion_ends
from graft.features.whole_backbone import features_of
from graft.ranking.candidates import Candidate
from graft.ranking.measuring import row_of
from graft.ranking.table import rank_key
from graft.reporting.ranking import Row

# A ranking by fewer images tells little.
LEAST = 500
# Parameters of networks that are kept between being measured and being ranked: 2 GB of them.
HELD = 500_000_000


class Ranked(NamedTuple):
    """A backbone that was ranked, or why it was not.

    Attributes:
        candidate: which.
        row: as `graft rank` has it; with a `reason` where it was left out.
        features: `(N, D)` of the training and validation images, in their order; None where left out.
        speed: what it takes; None where it could not be built.
    """

    candidate: Candidate
    row: Row
    features: Tensor | None
    speed: Speed | None


def measure(
    asked: Sequence[Candidate],
    data: SampleData,
    indices: Indices,
    trained: Indices,
    node: Mapping[str, Any],
    *,
    accelerator: str,
    seed: int,
    cost: float | None,
    tell: Callable[[str], None],
) -> tuple[list[Measured], list[Ranked]]:
    """Measure backbones, the cheapest first, and say which are left out, and why.

    Args:
        asked: the backbones.
        data: the images.
        indices: of the training and validation images.
        trained: of the training images.
        node: of the data.
        accelerator: to measure on.
        seed: of untrained networks.
        cost: the most milliseconds that an image may take; None: any.
        tell: told what is done.
    """
    able: list[Measured] = []
    without: list[Ranked] = []
    held = 0
    for candidate in asked:
        tell(f"measures {candidate.label}")
        try:
            one = measured(candidate, data, indices, trained, node, accelerator, seed)
        except (GraftError, RuntimeError, MemoryError, OSError, ValueError) as error:
            without.append(left_out(candidate, reason_of(error)))
            continue
        takes = 1000 * one.speed.forward
        if cost is not None and takes > cost:
            reason = f"takes {takes:.1f} ms an image, more than cost={cost:g}"
            without.append(left_out(candidate, reason, one.speed))
            continue
        # Of more networks than memory may be asked to hold the others are built again.
        held += 0 if one.cost is None else one.cost.parameters
        able.append(one if held <= HELD else one._replace(backbone=None))
    return sorted(able, key=lambda one: one.speed.to_rank), without


def some_of(labels: np.ndarray, count: int, seed: int) -> Indices:
    """Places `(count,)` among labels `(N,)`, drawn so that each class has its share; at most all."""
    if count >= len(labels):
        return np.arange(len(labels))
    drawn = np.random.default_rng(seed).permutation(len(labels))
    by_class = drawn[np.argsort(labels[drawn], kind="stable")]
    places = np.linspace(0, len(labels) - 1, count).round().astype(np.int64)
    return np.sort(by_class[places])


def as_many_as_fit(able: Sequence[Measured], images: int, seconds: float) -> int:
    """Of so many images, by how many all backbones can be ranked in the seconds; `LEAST` at least."""
    each = sum(one.speed.to_rank for one in able)
    return min(images, max(LEAST, int(seconds / each) if each else images))


def within(
    able: Sequence[Measured], images: int, seconds: float, stored: Collection[str] = ()
) -> tuple[list[Measured], list[Ranked]]:
    """Of backbones, the cheapest first, those that can be ranked by so many images in the seconds.

    Args:
        able: the backbones.
        images: to rank by.
        seconds: for all of them; negative where the time is up.
        stored: labels of those whose features an earlier start has stored, which cost nothing.

    Returns:
        These, and those that are left out.
    """
    fit: list[Measured] = []
    late: list[Ranked] = []
    left = max(seconds, 0.0)
    for one in able:
        takes = 0.0 if one.candidate.label in stored else images * one.speed.to_rank
        if takes <= left:
            fit.append(one)
            left -= takes
        else:
            reason = f"to rank it would take {takes:.1f} s, and {left:.1f} s are left for that"
            late.append(left_out(one.candidate, reason, one.speed))
    return fit, late


def rank(
    chosen: Sequence[Measured],
    data: SampleData,
    indices: Indices,
    trained: Indices,
    node: Mapping[str, Any],
    *,
    cache: Mapping[str, Any],
    accelerator: str,
    seed: int,
    tell: Callable[[str], None],
) -> list[Ranked]:
    """Rank backbones on the images of these indices, the best probe first; features are computed once.

    Those of the indices `trained` are to train on.
    """
    make = partial(backbone_for, data=data, trained=trained, seed=seed)
    labels = data.samples.labels[indices]
    size = min(node.get("batch_size", 32), len(data.samples))
    groups = together_of(data, indices)
    ranked: list[Ranked] = []
    for one in chosen:
        candidate = one.candidate
        tell(f"ranks {candidate.label}")
        kept: dict[str, Tensor] = {}

        def features(backbone: Backbone, label: str, kept: dict[str, Tensor] = kept) -> Tensor:
            # The first are the backbone's own; its source's head may want others.
            return kept.setdefault(
                label,
                features_of(
                    backbone,
                    label,
                    data=data,
                    indices=indices,
                    accelerator=accelerator,
                    cache=cache,
                    batch_size=size,
                    num_workers=node.get("num_workers"),
                ),
            )

        row = row_of(
            candidate, make, features, labels, seed, accelerator, size, groups, one.backbone, one.cost
        )
        ranked.append(Ranked(candidate, row, kept.get(candidate.name), one.speed))
    return sorted(ranked, key=lambda one: rank_key(one.row))


def not_at_hand(options: Mapping[str, Node], asked: object) -> list[dict[str, object]]:
    """The options of `backbone` whose weights would have to be fetched, with their size in MB.

    None where the backbones were named, so that none was passed over.
    """
    if asked != AT_HAND:
        return []
    known = {name: (node, network_of(node)) for name, node in options.items() if node.get("weights")}
    return [
        {"name": name, "megabytes": listed.megabytes}
        for name, (node, listed) in known.items()
        if listed is not None and weights_at_hand(name, node) is None
    ]


def left_out(candidate: Candidate, reason: str, speed: Speed | None = None) -> Ranked:
    """A backbone that is not ranked, with the reason."""
    row = {"backbone": candidate.label, "weights": candidate.weights, "probe": None, "reason": reason}
    return Ranked(candidate, row, None, speed)


def go_on(ranked: Sequence[Ranked], images: int) -> list[Ranked]:
    """Those whose probe cannot be told from the best one's, the cheapest first.

    Two accuracies of the same images are told apart here as if the images were others, which keeps a
    backbone too many rather than one too few.
    """
    able = [one for one in ranked if one.row["probe"] is not None]
    if not able:
        return []
    best = max(one.row["probe"] for one in able)

    def variance(share: float) -> float:
        # Of a share that is 0 or 1 too.
        return max(share * (1 - share), 1 / images) / images

    kept = [
        one
        for one in able
        if best - one.row["probe"] <= NORMAL * math.sqrt(variance(best) + variance(one.row["probe"]))
    ]
    return sorted(kept, key=lambda one: one.speed.a_pass if one.speed else math.inf)


def probe_interval(probe: float, images: int) -> tuple[float, float]:
    """95 % interval of a probe's accuracy: what other images would give."""
    low, high = proportion_ends(round(probe * images), images)
    return float(low), float(high)


def seconds_an_epoch(step: str, speed: Speed, train: int, val: int) -> float:
    """What an epoch of a step takes, as long as it has not been trained: a backward pass costs two forward.

    Where early stages are frozen their outputs are stored after the first epoch.
    """
    if step == "frozen":
        return 0.0
    gradient = {"last_k": 1.0, "lora": 3.0}.get(step, 3.0)
    return train * (speed.reading + gradient * speed.forward) + val * speed.a_pass
