"""What the folds of a cross-validation said of their test images, as one list: each image once."""

from collections.abc import Sequence

from graft.data import ImageData
from graft.errors import GraftError
from graft.evaluation.answers import Answers
from graft.runs import RunFolder
from graft.runs.files import read_csv
from graft.tasks.task import Task


def pooled(task: Task, folders: Sequence[RunFolder], data: ImageData) -> Answers:
    """The folds' own predictions, joined in the order of `data.images`.

    Args:
        task: reads the predictions.
        folders: finished runs on folds that share no test image.
        data: what the folds were cut from.

    Raises:
        GraftError: an image was tested twice.
    """
    place = {name: index for index, name in enumerate(data.images.names)}
    rows = [row for folder in folders for row in read_csv(folder.predictions)]
    rows.sort(key=lambda row: place[row["path"]])
    if len({row["path"] for row in rows}) < len(rows):
        raise GraftError("folds: an image is in the test part of two folds")
    return task.read(rows)
