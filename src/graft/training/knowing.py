"""At a run's end: what validation says of its bundle's confidence, and of what the bundle does not know."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from graft.data import SampleDataModule
from graft.data.samples import Indices
from graft.evaluation.knowing import Arrays, fit_score, remembered
from graft.models.bundle import Bundle
from graft.models.known import Known, fit_settings, rows_of, scores_by
from graft.objective.folding import Fold
from graft.objective.solving import Labelled
from graft.runs.log import say
from graft.training.module import Batch
from graft.training.testing import calibrate, module_keeping, run_test

# What the samples that a score remembers are called among the splits.
REMEMBERED = "remembered"


def settle(
    bundle: Bundle,
    loading: SampleDataModule,
    in_order: Callable[[str], Iterable[Batch]],
    tester: pl.Trainer,
    *,
    calibrates: bool,
    score: str | None,
    crossed: Known | None = None,
) -> None:
    """Fit the bundle's temperature, if it `calibrates`, and what says that a sample is none of its classes.

    One pass over some training samples, which the score remembers, and one over validation. Where nothing
    validates, the bundle has what cross-validation said, or nothing.

    Args:
        bundle: whose weights are the run's.
        loading: the run's samples.
        in_order: a split's batches.
        tester: of one process, without loggers: what is measured here is no test.
        calibrates: whether a temperature is fitted; then something validates.
        score: one of `graft.evaluation.knowing.SCORES`; None: nothing is to be said.
        crossed: of a solved head, what cross-validation says.
    """
    if not len(loading.splits["val"]):
        bundle.known = crossed
        if score and crossed is None:
            say("none of these: the model cannot tell, since nothing validates (data.val_fraction=0)")
        return
    arrays: Arrays = {}
    neighbours = None
    if score is not None:
        arrays, neighbours = _fitted(score, bundle, loading, in_order, tester)

    def scores(features: Tensor, logits: Tensor) -> Tensor:
        assert score is not None
        return scores_by(score, neighbours, arrays, features, logits)

    keeping = module_keeping(bundle, None if score is None else scores)
    outputs = run_test(tester, keeping, in_order("val"))
    if calibrates:
        calibrate(bundle, outputs)
    if score is None:
        return
    settings = fit_settings(
        score, neighbours, outputs.kept, outputs.logits, outputs.labels.numpy(), bundle.temperature
    )
    bundle.known = Known(settings, arrays)
    if settings.threshold is None:
        say(f"none of these: {settings.samples} validation samples are too few to tell; 19 would do")


def _fitted(
    score: str,
    bundle: Bundle,
    loading: SampleDataModule,
    in_order: Callable[[str], Iterable[Batch]],
    tester: pl.Trainer,
) -> tuple[Arrays, int | None]:
    """What the score remembers of training samples, as they are seen in evaluation."""
    if score == "energy":
        return {}, None
    train = loading.splits["train"]
    some = train[remembered(loading.data.samples.labels[train], len(bundle.class_names))]
    loading.splits = loading.splits.beside(REMEMBERED, some)
    outputs = run_test(
        tester, module_keeping(bundle, lambda features, logits: features), in_order(REMEMBERED)
    )
    return fit_score(score, rows_of(outputs.kept), outputs.labels.numpy())


def known_by_folds(
    score: str | None, train: Labelled, classes: int, folds: Sequence[Fold], logits: Tensor
) -> Known | None:
    """What the samples that a frozen backbone's head was solved on say, each judged by others.

    Threshold and limit are those of samples that were no part of what judges them, a head and the samples
    that the score remembers. Heads of fewer samples say a little less, so both promises are kept rather more
    than less often.

    Args:
        score: as in `settle`.
        train: features `(N, D)`, and classes.
        classes: C.
        folds: in which each sample is judged once at most.
        logits: `(N, C)`, those of each fold's head for what it judges.
    """
    if score is None or not folds:
        return None
    labels = train.labels.numpy()
    found = []
    for learn, judge in folds:
        arrays, neighbours = _of_some(score, train, learn, classes)
        found.append(scores_by(score, neighbours, arrays, train.features[judge], logits[judge]))
    judges = np.concatenate([judge for _, judge in folds])
    arrays, neighbours = _of_some(score, train, np.arange(len(labels)), classes)
    settings = fit_settings(
        score, neighbours, torch.cat(found), logits[judges], labels[judges], 1.0, "cross-validation"
    )
    return Known(settings, arrays)


def _of_some(score: str, train: Labelled, places: Indices, classes: int) -> tuple[Arrays, int | None]:
    """What a score remembers of the training samples at some places."""
    labels = train.labels.numpy()[places]
    kept = remembered(labels, classes)
    return fit_score(score, rows_of(train.features[places[kept]]), labels[kept])
