"""What the folds of a cross-validation said of their test images, as one list: each image once."""

from collections.abc import Sequence

import numpy as np

from graft.data import ImageData
from graft.errors import GraftError
from graft.evaluation.answers import Answers
from graft.evaluation.calibration import log_odds
from graft.runs import RunFolder
from graft.runs.files import read_csv


def pooled(folders: Sequence[RunFolder], data: ImageData) -> Answers:
    """The folds' own predictions, joined in the order of `data.images`.

    Args:
        folders: finished runs on folds that share no test image.
        data: what the folds were cut from.

    Raises:
        GraftError: an image was tested twice.
    """
    place = {name: index for index, name in enumerate(data.images.names)}
    rows = [row for folder in folders for row in read_csv(folder.predictions)]
    rows.sort(key=lambda row: place[row["path"]])
    names = [row["path"] for row in rows]
    if len(set(names)) < len(names):
        raise GraftError("folds: an image is in the test part of two folds")
    index_of = {name: index for index, name in enumerate(data.class_names)}
    probabilities = np.array([[float(row[f"p_{name}"]) for name in data.class_names] for row in rows])
    with np.errstate(divide="ignore"):
        # Written in full, even those next to 0, which tell apart what rounds to 1.
        scores = log_odds(np.log(probabilities))
    return Answers(
        data.class_names,
        names,
        np.array([index_of[row["label"]] for row in rows]),
        probabilities,
        scores,
        np.array([index_of[row["predicted"]] for row in rows]),
    )
