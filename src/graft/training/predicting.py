"""What a bundle says of samples of no known label, and which of them it has seen before."""

from contextlib import suppress

import pytorch_lightning as pl

from graft.data.samples import SampleError, Samples
from graft.data.workers import ImageLoader, worker_count
from graft.models import Bundle, Prediction
from graft.runs.seen import counted, told
from graft.sources import ReadableSamples, collate_readable
from graft.tasks.single_label import probability_columns
from graft.training.module import Predicted
from graft.training.testing import tested_module

# Of `predictions.csv`.
Row = dict[str, str | float]


def seen_before(bundle: Bundle, samples: Samples) -> str:
    """What to say where the model has seen some of these samples in training or validation; else nothing."""
    if bundle.seen is None:
        return ""
    digests = []
    for index in range(len(samples)):
        # Those that cannot be read were named before.
        with suppress(SampleError):
            digests.append(samples.identity(index))
    counts = counted(bundle.seen.role(digest) for digest in digests)
    so = "its answers to these say little of its answers to new ones"
    return told(counts, f"these {len(samples):,} {bundle.kind.plural}", so)


def predict_samples(
    bundle: Bundle,
    samples: Samples,
    tester: pl.Trainer,
    *,
    batch_size: int | None,
    num_workers: int | None,
    top_k: int | None,
) -> tuple[list[Row], list[tuple[str, str]]]:
    """Predict samples.

    By default as many at a time as the model was tested with, with as many processes that load as there is
    use for, and with all classes, not the `top_k` most probable ones.

    Returns:
        One row a readable sample, in order; and the name of each unreadable one with the reason.
    """
    size, names = batch_size or bundle.tested.batch_size, samples.names
    loader = ImageLoader(
        ReadableSamples(samples, bundle.transform),
        size,
        num_workers=worker_count(num_workers, -(-len(samples) // size)),
        collate_fn=collate_readable,
    )
    rows: list[Row] = []
    unreadable: list[tuple[str, str]] = []
    batches: list[Predicted] = tester.predict(tested_module(bundle), loader)  # type: ignore[assignment]
    for batch in batches:
        unreadable += [(names[index], reason) for index, reason in batch.failures]
        if not batch.indices:
            continue
        judged = None if bundle.known is None else bundle.known.judge_scores(batch.kept, batch.logits)
        predictions = bundle.named(batch.probabilities, judged)
        for index, prediction in zip(batch.indices, predictions, strict=True):
            rows.append(row_of(names[index], prediction, top_k))
    return rows, unreadable


def row_of(name: str, prediction: Prediction, top_k: int | None) -> Row:
    """Path, predicted class, the probability of every class or of the `top_k` most probable, what is known.

    The last three columns are empty where the bundle cannot tell.
    """
    row: Row = {"path": name, "predicted": prediction.label}
    if top_k is None:
        row |= probability_columns(prediction.probabilities)
    else:
        ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:top_k]
        for place, (label, probability) in enumerate(ranked, start=1):
            row |= {f"class_{place}": label, f"p_{place}": probability}
    none = prediction.none_of_these
    return row | {
        "known": "" if prediction.known is None else prediction.known,
        "none_of_these": "" if none is None else str(none).lower(),
        "set": "|".join(prediction.set or ()),
    }
