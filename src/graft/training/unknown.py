"""How well a bundle tells samples of its classes, which were tested, from samples of none of them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl

from graft.errors import GraftError
from graft.evaluation.assessment import Metrics
from graft.evaluation.unknown import unknown_metrics
from graft.models import Bundle
from graft.models.known import Known
from graft.sources import find_samples
from graft.sources.opening import levelled
from graft.training.predicting import Row, predict_samples
from graft.training.testing import ModelOutputs


class OnUnknown(NamedTuple):
    """What came of samples that are none of the classes.

    Attributes:
        metrics: `unknown/auroc` and so on.
        rows: what is predicted of each, as `graft predict` writes it.
        notes: how they were read.
    """

    metrics: Metrics
    rows: list[Row]
    notes: list[str]


def able(bundle: Bundle, source: str, alpha: float | None) -> Known:
    """What says whether a sample is known.

    Raises:
        GraftError: nothing of the bundle does; or it is moved towards its source by `alpha`.
    """
    if bundle.known is not None:
        return bundle.known
    if alpha in (None, 1):
        why = "the model cannot tell: nothing validated it, known was null, or an older Graft made it"
    else:
        why = f"what the model knows is of its own weights, not of those of wise_ft.alpha={alpha}"
    raise GraftError(f"unknown={source}: {why}")


def test_on_unknown(
    bundle: Bundle,
    source: str,
    recorded: Mapping[str, Any],
    tester: pl.Trainer,
    result: ModelOutputs,
    *,
    batch_size: int | None,
    num_workers: int | None,
) -> OnUnknown:
    """Predict samples of none of the classes, and tell them from those that were tested.

    Args:
        bundle: the model.
        source: names the samples, as `graft predict`'s does.
        recorded: the configuration of the model's run; empty for a bundle alone.
        tester: of one process.
        result: of a test of samples of the classes.
        batch_size: as `predict_samples`'s.
        num_workers: as `predict_samples`'s.

    Raises:
        GraftError: there are none, or none can be read.
    """
    known = able(bundle, source, None)
    try:
        found, notes = find_samples(source, bundle.kind, recorded.get("data") or {})
    except GraftError as error:
        raise GraftError(str(error).replace(f"source={source}", f"unknown={source}")) from error
    samples, said = levelled(found, bundle.levels)
    rows, unreadable = predict_samples(
        bundle, samples, tester, batch_size=batch_size, num_workers=num_workers, top_k=None
    )
    plural = bundle.kind.plural
    if not rows:
        raise GraftError(f"unknown={source}: none of {len(samples)} {plural} could be read")
    scores = np.array([row["known"] for row in rows], np.float64)
    told = unknown_metrics(result.kept.numpy(), scores, known.settings.threshold)
    read = f"unknown: {len(rows)} {plural} of none of the classes, {len(unreadable)} unreadable"
    return OnUnknown({f"unknown/{key}": value for key, value in told.items()}, rows, [*notes, *said, read])
