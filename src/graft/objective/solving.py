"""The head of a frozen backbone, solved on stored features instead of trained by steps.

What a head of one dense layer should be is a convex problem, so there is nothing to tune but its penalty,
and that is chosen among a path of them by images that the solution was not made of.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from graft.data.samples import Indices
from graft.models.head import fit_standardization, standardizes
from graft.objective.folding import Fold, repeated_folds
from graft.optim import LBFGS
from graft.optim.lbfgs import Minimum
from graft.runs.log import say
from graft.tasks import Task

# Half a decade apart, from a head that says little but how frequent each class is.
PENALTIES = tuple(float(f"{10 ** (2 - step / 2):.3g}") for step in range(15))
# The path ends after so many penalties that are worse than the best: weaker ones overfit more.
WORSE = 3
# Few images say little, so the penalty is drawn to the usual one by a prior: experiments/solved-head.
USUAL, DECADES = 1.0, 2.0


class Labelled(NamedTuple):
    """Features `(N, D)` of some images, and their classes `(N,)`."""

    features: Tensor
    labels: Tensor


class Choice(NamedTuple):
    """A head that is solved, and what led to it.

    Attributes:
        penalty: λ of the head.
        path: a row for each penalty that was tried: `penalty`, `train/loss`, and `val/loss` and
            `val/accuracy` of what it was judged by.
        judge: by what the penalty was chosen, in words.
        metrics: of the solved head: `train/loss` and so on, `val/loss` and so on.
    """

    penalty: float
    path: list[dict[str, float]]
    judge: str
    metrics: dict[str, float]


def solve(
    head: nn.Sequential,
    solver: LBFGS,
    train: Labelled,
    val: Labelled,
    *,
    task: Task,
    groups: Indices | None = None,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> Choice:
    """Solve a head in place: its standardisation is fitted, its dense layer is the minimum.

    The penalty is the solver's own where it has one; else the one with the lowest loss on `val`; without
    images there, by cross-validation of `train`; where no class has two images, `USUAL`.

    Args:
        head: ends in a dense layer, before which nothing trains.
        solver: finds the minimum.
        train: what the head is made of.
        val: what the penalty is chosen by; may be empty.
        task: says the training loss, and what is tallied.
        groups: `(N,)` which images of `train` belong together, so that no fold parts them.
        seed: of the folds.
        check: called after each penalty; may raise to stop.
    """
    dense = head[-1]
    assert isinstance(dense, nn.Linear)

    def path(part: Labelled, penalties: Sequence[float]) -> Iterator[Minimum]:
        """The minima on `part`, whose standardisation the head has from here on."""
        inputs = _before(head, part.features, fit=True)

        def loss(logits: Tensor) -> Tensor:
            return task.loss(logits, part.labels)[0]

        for minimum in solver.minima(
            inputs, dense.out_features, loss, penalties, bias=dense.bias is not None
        ):
            check()
            yield minimum

    rows: list[dict[str, float]] = []
    if solver.weight_decay is not None:
        judge, penalty = "optimizer.weight_decay", solver.weight_decay
        minimum = next(path(train, (penalty,)))
    elif len(val.labels):
        judge = f"{len(val.labels)} validation images"
        rows, minimum = _judged(head, path(train, PENALTIES), val)
    elif folds := repeated_folds(train.labels.numpy(), groups, seed):
        judge = f"cross-validation of the training images in {len(folds)} folds"
        rows = _crossed(head, train, folds, lambda part: path(part, PENALTIES))
        minimum = next(path(train, (_best(rows, len(train.labels))["penalty"],)))
    else:
        judge = "default, as no class has two images and nothing validates"
        minimum = next(path(train, (USUAL,)))
    if rows and minimum.penalty in (PENALTIES[0], PENALTIES[-1]):
        say(f"warning: the best penalty, {minimum.penalty:g}, is at the end of those tried")
    if minimum.gradient > solver.tolerance_grad:
        say(f"warning: optimizer.max_iter={solver.max_iter} ended with a gradient of {minimum.gradient:.1g}")
    with torch.no_grad():
        dense.weight.copy_(minimum.weight)
        if dense.bias is not None:
            dense.bias.copy_(minimum.bias)
    metrics = {"train/penalty": 0.5 * minimum.penalty * float(minimum.weight.square().sum())}
    for name, part in (("train", train), ("val", val)):
        metrics |= {f"{name}/{key}": value for key, value in _measured(task, head, part).items()}
    # What was minimised, as in every run: with class weights and smoothing.
    metrics["train/loss"] = minimum.loss
    return Choice(minimum.penalty, rows, judge, metrics)


@torch.no_grad()
def logits_by_folds(
    head: nn.Sequential, solver: LBFGS, train: Labelled, penalty: float, folds: Sequence[Fold], *, task: Task
) -> Tensor:
    """`(N, C)`: what heads that a sample was no part of say of it; NaN where no fold judges it.

    Args:
        head: the solved one, which stays as it is.
        solver: as in `solve`.
        train: N samples.
        penalty: of each head.
        folds: in which each sample is judged once at most.
        task: says the loss.
    """
    other = copy.deepcopy(head)
    dense = other[-1]
    assert isinstance(dense, nn.Linear)
    logits = torch.full((len(train.labels), dense.out_features), torch.nan, dtype=torch.float64)
    for learn, judge in folds:
        wanted = train.labels[learn]
        inputs = _before(other, train.features[learn], fit=True)

        def loss(logits: Tensor, wanted: Tensor = wanted) -> Tensor:
            return task.loss(logits, wanted)[0]

        minima = solver.minima(inputs, dense.out_features, loss, (penalty,), bias=dense.bias is not None)
        minimum = next(iter(minima))
        logits[judge] = _before(other, train.features[judge]).double() @ minimum.weight.T + minimum.bias
    return logits


@torch.no_grad()
def _before(head: nn.Sequential, features: Tensor, fit: bool = False) -> Tensor:
    """What reaches the dense layer of features `(N, D)`."""
    if fit and standardizes(head):
        fit_standardization(head, features)
    inputs: Tensor = head[:-1](features)
    return inputs


def _judged(
    head: nn.Sequential, minima: Iterator[Minimum], val: Labelled
) -> tuple[list[dict[str, float]], Minimum]:
    """A row a penalty, and the minimum of the best; the path ends where it has long got worse."""
    rows: list[dict[str, float]] = []
    solved: list[Minimum] = []
    for row, minimum in _rows(head, minima, val):
        rows.append(row)
        solved.append(minimum)
        best = rows.index(_best(rows, len(val.labels)))
        if len(rows) - 1 - best >= WORSE:
            break
    return rows, solved[best]


def _best(rows: list[dict[str, float]], judges: int) -> dict[str, float]:
    """The row of the highest posterior: likelihood of the `judges`, log-normal prior of the penalty."""

    def surprise(row: dict[str, float]) -> float:
        return judges * row["val/loss"] + improbability(row["penalty"])

    return min(rows, key=surprise)


def improbability(penalty: float) -> float:
    """How many nats less probable than the usual penalty one is before any image was seen."""
    return 0.5 * (math.log10(penalty / USUAL) / DECADES) ** 2


def _crossed(
    head: nn.Sequential,
    train: Labelled,
    folds: list[Fold],
    path: Callable[[Labelled], Iterator[Minimum]],
) -> list[dict[str, float]]:
    """A row a penalty, of all folds together: each image is judged by what it was no part of."""
    shares, parts = [], []
    for learn, judge in folds:
        minima = path(Labelled(train.features[learn], train.labels[learn]))
        judges = Labelled(train.features[judge], train.labels[judge])
        parts.append([row for row, _ in _rows(head, minima, judges)])
        shares.append(len(judge))
    return [
        {key: float(np.average([row[key] for row in rows], weights=shares)) for key in rows[0]}
        for rows in zip(*parts, strict=True)
    ]


def _rows(
    head: nn.Sequential, minima: Iterator[Minimum], judges: Labelled
) -> Iterator[tuple[dict[str, float], Minimum]]:
    """What each penalty came to, and its minimum."""
    inputs = None
    for minimum in minima:
        # Only now does the head have the standardisation that the minima were found with.
        inputs = _before(head, judges.features).double() if inputs is None else inputs
        logits = inputs @ minimum.weight.T + minimum.bias
        row = {
            "penalty": minimum.penalty,
            "train/loss": minimum.loss,
            "val/loss": float(cross_entropy(logits, judges.labels)),
            "val/accuracy": float((logits.argmax(1) == judges.labels).double().mean()),
        }
        yield row, minimum


@torch.no_grad()
def _measured(task: Task, head: nn.Sequential, part: Labelled) -> dict[str, float]:
    """Loss and what a confusion matrix says, as of any epoch; nothing of no images."""
    if not len(part.labels):
        return {}
    tally = task.tally()
    tally.update(head(part.features), part.labels)
    return tally.compute()
