"""The command line of an export: from image files to the CSV of `graft predict`, without Graft.

`predict.py` of an export is the text of this module and of all that it uses, which `gathering` puts together;
so files are found, opened, levelled and named by the very code of `graft predict`.
"""

import argparse
import csv
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray

from graft.data.headers import MOST, said_of_several, some_of
from graft.data.images import read_image
from graft.data.levels import AllLevels, Levels
from graft.data.samples import SampleError
from graft.deploy.engines import Engine, Network
from graft.deploy.pixels import network_input, resized
from graft.errors import GraftError
from graft.evaluation.none_of_these import judge, softmax
from graft.models.prediction import Judged, named
from graft.sources.opening import levels_of
from graft.sources.prediction import find_files
from graft.sources.walk import IMAGE_FILES
from graft.training.predicting import row_of

CARD, KNOWN = "model.json", "known.npz"


class Answered(NamedTuple):
    """What a model said of some images that could be read: logits `(N, C)`, features `(N, D)`, names."""

    names: list[str]
    logits: NDArray[np.float32]
    features: NDArray[np.float32]


class Knows(NamedTuple):
    """How a model tells what is none of its classes: `judge`'s settings and arrays."""

    settings: Mapping[str, Any]
    arrays: Mapping[str, NDArray[np.float64]]


def main(engine: Engine, folder: Path, words: Sequence[str] | None = None) -> int:
    """Predict the images that the words name, by the model in a folder, and print them as CSV.

    Returns:
        The exit status: 0, or 2 where there is nothing to predict.
    """
    given = _parser().parse_args(words)
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    # The bytes of `graft predict`, whatever the terminal's own encoding; names need not be UTF-8.
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")  # type: ignore[union-attr]
    try:
        model = given.model or card["model"]
        network = engine(folder / model, given.threads)
        answers = predict(network, card, known_by(folder, card, model), given, sys.stdout)
    except GraftError as error:
        print(f"predict.py: {error}", file=sys.stderr)
        return 2
    if given.arrays is not None:
        names, logits, features = (np.concatenate(column) for column in zip(*answers, strict=True))
        np.savez(given.arrays, names=names, logits=logits, features=features)
    return 0


def predict(
    network: Network,
    card: Mapping[str, Any],
    knows: Knows | None,
    given: argparse.Namespace,
    to: TextIO,
) -> list[Answered]:
    """Write what the network says of the images that were named, a batch at a time.

    Args:
        network: of the export.
        card: of the export.
        knows: as `rows_of`'s.
        given: the command line.
        to: takes the CSV.

    Returns:
        The same by batch, where it is wanted as arrays.

    Raises:
        GraftError: there is no image, or none that can be read.
    """
    paths: list[Path] = []
    notes: list[str] = []
    for source in given.source:
        found = find_files(source, IMAGE_FILES)
        paths += found.files
        notes += found.notes
    levels, said = levels_of(some_of(paths, MOST), levels_in(card))
    notes += [*said_of_several(some_of(paths, MOST), len(paths)), *said]
    size = given.batch_size or card["batch_size"]
    writer = None
    kept: list[Answered] = []
    for start in range(0, len(paths), size):
        read: list[str] = []
        pixels: list[NDArray[np.uint8]] = []
        for path in paths[start : start + size]:
            try:
                pixels.append(resized(read_image(path, levels=levels), card["preprocessing"]))
                read.append(str(path))
            except SampleError as error:
                print(f"unreadable: {error}", file=sys.stderr)
        if not read:
            continue
        answered = Answered(read, *network(network_input(pixels, card["preprocessing"])))
        if given.arrays is not None:
            kept.append(answered)
        rows = rows_of(answered, card, knows, given.top_k)
        if writer is None:
            writer = csv.DictWriter(to, list(rows[0]), lineterminator="\n")
            writer.writeheader()
        writer.writerows(rows)
    for note in notes:
        print(note, file=sys.stderr)
    if writer is None:
        raise GraftError(f"none of {len(paths)} images could be read")
    return kept


def rows_of(
    answered: Answered, card: Mapping[str, Any], knows: Knows | None, top_k: int | None = None
) -> list[dict[str, str | float]]:
    """One row an image, as in the CSV of `graft predict`; `knows` is what `known_by` gave."""
    judged = None if knows is None else Judged(*judge(answered.features, answered.logits, *knows))
    shares = softmax(answered.logits, card["temperature"])
    predictions = named(card["class_names"], shares.tolist(), judged)
    return [row_of(name, said, top_k) for name, said in zip(answered.names, predictions, strict=True)]


def known_by(folder: Path, card: Mapping[str, Any], model: str) -> Knows | None:
    """How a model file of a folder tells what is none of its classes; None where it cannot."""
    settings = card["known"].get(Path(model).name)
    if settings is None:
        return None
    if not (folder / KNOWN).is_file():
        return Knows(settings, {})
    with np.load(folder / KNOWN) as arrays:
        return Knows(settings, {name: arrays[name].astype(np.float64) for name in arrays.files})


def levels_in(card: Mapping[str, Any]) -> AllLevels | None:
    """The levels of images of more than 8 bits; JSON has no infinity, for which null stands."""
    if card["levels"] is None:
        return None
    return {
        kind: Levels(black, float("inf") if white is None else white)
        for kind, (black, white) in card["levels"].items()
    }


def cache_folder() -> str:
    """Where Graft keeps what it computed, which are no images: without Graft, the folder that is named."""
    return os.environ.get("GRAFT_CACHE_DIR") or os.devnull


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="predict.py",
        description="Print what the model beside this file says of images: a CSV of path, predicted class "
        "and probabilities, as graft predict writes it. What cannot be read is named on standard error.",
    )
    parser.add_argument("source", nargs="+", help='an image, a folder (searched whole) or "photos/*.jpg"')
    parser.add_argument("--batch-size", type=_count, help="images at a time; another changes the last digits")
    parser.add_argument("--top-k", type=_count, help="the k most probable classes instead of all")
    parser.add_argument("--threads", type=_count, default=0, help="0, as many as cores, unless given")
    parser.add_argument("--model", help=f"another model file of this folder than the one that {CARD} names")
    parser.add_argument("--arrays", metavar="FILE.npz", help="write names, logits and features there too")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is wrong: it must be a whole number >= 1")
    return int(text)
