"""The folds' predictions become one list, each image once, in the data's order."""

import numpy as np
import pytest

from graft.data import ImageData, array_images
from graft.errors import GraftError
from graft.runs import RunFolder
from graft.runs.files import write_csv
from graft.tasks import SingleLabel
from graft.tasks.pooling import pooled

DATA = ImageData(
    ["b", "a"],
    {"all": array_images(["x", "y", "z"], [0, 1, 0], np.zeros((3, 4, 4), np.uint8))},
)
TASK = SingleLabel(DATA.class_names)


def fold(path, *answers):
    folder = RunFolder(path)
    rows = [
        {"path": name, "predicted": "b" if p >= 0.5 else "a", "label": label, "p_b": p, "p_a": 1 - p}
        for name, label, p in answers
    ]
    write_csv(folder.predictions, rows)
    return folder


def test_folds_are_joined_in_the_order_of_the_data(tmp_path):
    folders = [
        fold(tmp_path / "1", ("z", "b", 0.25)),
        fold(tmp_path / "2", ("x", "b", 0.75), ("y", "a", 0.5)),
    ]
    found = pooled(TASK, folders, DATA)
    assert found.names == ["x", "y", "z"]
    assert found.labels.tolist() == [0, 1, 0]
    assert found.predicted.tolist() == [0, 0, 1]
    assert found.probabilities.tolist() == [[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]


def test_an_image_that_tests_twice_is_refused(tmp_path):
    folders = [fold(tmp_path / str(index), ("z", "b", 0.25)) for index in (1, 2)]
    with pytest.raises(GraftError, match="in the test part of two folds"):
        pooled(TASK, folders, DATA)


def test_what_is_written_ranks_as_the_logits_did(tmp_path):
    """All three are 1 when rounded; the other class's share, written in full, tells them apart."""
    folder = RunFolder(tmp_path)
    rows = [
        {"path": name, "predicted": "b", "label": label, "p_b": 1.0, "p_a": share}
        for name, label, share in (("x", "b", 1e-40), ("y", "a", 1e-20), ("z", "b", 1e-30))
    ]
    write_csv(folder.predictions, rows)
    found = pooled(TASK, [folder], DATA)
    assert found.scores[:, 0].argsort().tolist() == [1, 2, 0]
    assert (found.scores[:, 1] == -found.scores[:, 0]).all()
