"""Model soups: one network whose weights are the mean of several that were fine-tuned from one start."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graft.errors import GraftError
from graft.models.bundle import Bundle

State = Mapping[str, Tensor]


class Tried(NamedTuple):
    """An ingredient in the order of tasting: its number, the score with it, and whether it stays."""

    ingredient: int
    score: float
    taken: bool


def greedy(scores: Sequence[float], score_of: Callable[[Sequence[int]], float]) -> list[Tried]:
    """The greedy soup (Wortsman and others 2022, arXiv:2203.05482, recipe 1).

    Ingredients are tried from the best to the worst; each stays where the soup's score is then no lower.

    Args:
        scores: of each ingredient alone; higher is better, and the first of equals goes first.
        score_of: the score of the mean of some, by their numbers.
    """
    order = sorted(range(len(scores)), key=lambda number: -scores[number])
    best, taken = scores[order[0]], [order[0]]
    tried = [Tried(order[0], best, True)]
    for number in order[1:]:
        score = score_of([*taken, number])
        stays = score >= best
        tried.append(Tried(number, score, stays))
        if stays:
            best = score
            taken.append(number)
    return tried


def mean_state(states: Sequence[State]) -> dict[str, Tensor]:
    """The mean of some state dicts of the same keys, computed in double; whole numbers are the first's.

    BatchNorm's running statistics are averaged as weights are; they fit the mean of the weights only where
    they are taken anew (`unfit`).
    """
    mean = {}
    for key, first in states[0].items():
        if first.is_floating_point():
            mean[key] = torch.stack([state[key].double() for state in states]).mean(0).to(first.dtype)
        else:
            mean[key] = first.clone()
    return mean


def check_alike(bundles: Mapping[str, Bundle]) -> None:
    """Refuse models whose weights have no mean, by the names of their folders.

    Raises:
        GraftError: they have other layers, other classes, or prepare their samples differently.
    """
    (first_name, first), *others = bundles.items()
    shapes = {key: value.shape for key, value in first.model.state_dict().items()}
    for name, bundle in others:
        what = f"runs: {first_name} and {name}"
        if bundle.class_names != first.class_names:
            raise GraftError(f"{what} have other classes, so their weights have no mean")
        if {key: value.shape for key, value in bundle.model.state_dict().items()} != shapes:
            raise GraftError(f"{what} are other networks, so their weights have no mean")
        if bundle.preprocessing != first.preprocessing or bundle.levels != first.levels:
            raise GraftError(f"{what} prepare their {first.kind.plural} differently")
