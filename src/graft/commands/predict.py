"""`graft predict`: what a run or bundle sees in images, as a CSV; unreadable files never stop the others."""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from rich.table import Table

from graft.data.headers import MOST, said_of_several, some_of
from graft.data.workers import ImageLoader, worker_count
from graft.errors import GraftError
from graft.models import Bundle, Prediction, load_bundle
from graft.reporting.console import PlainConsole
from graft.runs.files import write_csv
from graft.runs.seen import counted, told
from graft.sources import PathImages, collate_readable, find_images
from graft.sources.opening import levels_of
from graft.tasks.single_label import probability_columns
from graft.training.checks import check_device
from graft.training.testing import make_tester, tested_module
from graft.training.trainer import quiet_lightning

# Rows shown in the terminal; all of them stand in the CSV.
SHOWN = 10


def run(config: dict[str, Any], path: Path, overrides: list[str]) -> Path:
    """Predict every image of `config["source"]`.

    Returns:
        The CSV's path, inside the folder `path`.

    Raises:
        GraftError: there is no model, no image, none that can be read, or no such device.
    """
    check_device(config["accelerator"], key="accelerator")
    quiet_lightning()
    files, notes = find_images(config["source"])
    bundle = load_bundle(config["run"], config["trust"])
    looked = some_of(files, MOST)
    bundle.levels, levels_said = levels_of(looked, bundle.levels)
    rows, unreadable = predict_files(bundle, files, config, make_tester(bundle, config["accelerator"], path))
    show(rows, unreadable, [*notes, *said_of_several(looked, len(files)), *levels_said])
    if not rows:
        raise GraftError(f"source={config['source']}: none of {len(files)} images could be read")
    if line := seen_before(bundle, files):
        print(line)
    target = path / "predictions.csv"
    write_csv(target, rows)
    print(target)
    return target


def seen_before(bundle: Bundle, files: list[Path]) -> str:
    """What to say where the model has seen some of these files in training or validation; else nothing."""
    if bundle.seen is None:
        return ""
    digests = []
    for file in files:
        # One that cannot be read has been told already.
        with suppress(OSError):
            digests.append(hashlib.sha256(file.read_bytes()).hexdigest())
    counts = counted(bundle.seen.role(digest) for digest in digests)
    so = "its answers to these say little of its answers to new ones"
    return told(counts, f"these {len(files):,} images", so)


def predict_files(
    bundle: Bundle, files: list[Path], config: dict[str, Any], tester: pl.Trainer
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """One row a readable file, in order; and each unreadable file with the reason."""
    size = config["batch_size"] or bundle.tested.batch_size
    loader = ImageLoader(
        PathImages(files, bundle.transform, bundle.levels),
        size,
        num_workers=worker_count(config["num_workers"], -(-len(files) // size)),
        collate_fn=collate_readable,
    )
    rows: list[dict[str, Any]] = []
    unreadable: list[tuple[str, str]] = []
    found: Any = tester.predict(tested_module(bundle), loader)
    for indices, probabilities, failures in found:
        unreadable += [(str(files[index]), reason) for index, reason in failures]
        for index, row in zip(indices, probabilities, strict=True):
            rows.append(row_of(files[index], bundle.named(row), config["top_k"]))
    return rows, unreadable


def row_of(file: Path, prediction: Prediction, top_k: int | None) -> dict[str, Any]:
    """Path, predicted class, and the probability of every class or of the `top_k` most probable."""
    row: dict[str, Any] = {"path": str(file), "predicted": prediction.label}
    if top_k is None:
        return row | probability_columns(prediction.probabilities)
    ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:top_k]
    for place, (name, probability) in enumerate(ranked, start=1):
        row |= {f"class_{place}": name, f"p_{place}": probability}
    return row


def show(rows: list[dict[str, Any]], unreadable: list[tuple[str, str]], notes: list[str]) -> None:
    """The first rows as a table, then what could not be read, and what was left out."""
    if rows:
        table = Table("image", "predicted", "probability", box=None)
        for row in rows[:SHOWN]:
            probability = max(value for key, value in row.items() if key.startswith("p_"))
            table.add_row(row["path"], row["predicted"], f"{probability:.3f}")
        PlainConsole().print(table)
    if len(rows) > SHOWN:
        print(f"… and {len(rows) - SHOWN} more")
    for file, reason in unreadable:
        print(f"unreadable: {reason if file in reason else f'{file}: {reason}'}")
    for note in notes:
        print(note)
    print(f"{len(rows)} images predicted, {len(unreadable)} unreadable")
