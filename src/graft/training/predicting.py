"""What a bundle says of image files, and which of them it has seen before."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from graft.data.workers import ImageLoader, worker_count
from graft.models import Bundle, Prediction
from graft.runs.files import digest_of
from graft.runs.seen import counted, told
from graft.sources import PathImages, collate_readable
from graft.tasks.single_label import probability_columns
from graft.training.testing import tested_module

# Of `predictions.csv`: the only numbers are probabilities.
Row = dict[str, str | float]


def seen_before(bundle: Bundle, files: Sequence[Path]) -> str:
    """What to say where the model has seen some of these files in training or validation; else nothing."""
    if bundle.seen is None:
        return ""
    digests = []
    for file in files:
        # Those that cannot be read were named before.
        with suppress(OSError):
            digests.append(digest_of(file))
    counts = counted(bundle.seen.role(digest) for digest in digests)
    so = "its answers to these say little of its answers to new ones"
    return told(counts, f"these {len(files):,} images", so)


def predict_files(
    bundle: Bundle,
    files: Sequence[Path],
    tester: pl.Trainer,
    *,
    batch_size: int | None,
    num_workers: int | None,
    top_k: int | None,
) -> tuple[list[Row], list[tuple[str, str]]]:
    """Predict image files.

    By default as many at a time as the model was tested with, with as many processes that load as there is
    use for, and with all classes, not the `top_k` most probable ones.

    Returns:
        One row a readable file, in order; and each unreadable file with the reason.
    """
    size = batch_size or bundle.tested.batch_size
    loader = ImageLoader(
        PathImages(files, bundle.transform, bundle.levels, bundle.kind),
        size,
        num_workers=worker_count(num_workers, -(-len(files) // size)),
        collate_fn=collate_readable,
    )
    rows: list[Row] = []
    unreadable: list[tuple[str, str]] = []
    batches: Any = tester.predict(tested_module(bundle), loader)
    for indices, probabilities, failures in batches:
        unreadable += [(str(files[index]), reason) for index, reason in failures]
        for index, row in zip(indices, probabilities, strict=True):
            rows.append(row_of(files[index], bundle.named(row), top_k))
    return rows, unreadable


def row_of(file: Path, prediction: Prediction, top_k: int | None) -> Row:
    """Path, predicted class, and the probability of every class or of the `top_k` most probable."""
    row: Row = {"path": str(file), "predicted": prediction.label}
    if top_k is None:
        return row | probability_columns(prediction.probabilities)
    ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:top_k]
    for place, (name, probability) in enumerate(ranked, start=1):
        row |= {f"class_{place}": name, f"p_{place}": probability}
    return row
