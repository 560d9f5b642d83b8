"""The folds' predictions become one list, each image once, in the data's order."""

import pytest

from graft.data import Splits
from graft.errors import GraftError
from graft.runs import RunFolder
from graft.runs.files import write_csv
from graft.sweeps.crossval import Cut, pooled
from graft.tasks import SingleLabel

NUMBER = {"x": 0, "y": 1, "z": 2}
TASK = SingleLabel(["b", "a"])


def fold(path, number, *answers):
    cut = Cut(1, number, {}, Splits({}, "by hand"), RunFolder(path / str(number)))
    rows = [
        {"path": name, "predicted": "b" if p >= 0.5 else "a", "label": label, "p_b": p, "p_a": 1 - p}
        for name, label, p in answers
    ]
    write_csv(cut.folder.predictions, rows)
    return cut


def test_folds_are_joined_in_the_order_of_the_data(tmp_path):
    cuts = [fold(tmp_path, 1, ("z", "b", 0.25)), fold(tmp_path, 2, ("x", "b", 0.75), ("y", "a", 0.5))]
    found, rows = pooled(TASK, cuts, NUMBER)
    assert found.names == ["x", "y", "z"]
    assert found.labels.tolist() == [0, 1, 0]
    assert found.predicted.tolist() == [0, 0, 1]
    assert found.probabilities.tolist() == [[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]
    assert [(row["path"], row["repeat"], row["fold"]) for row in rows] == [
        *(("x", 1, 2), ("y", 1, 2), ("z", 1, 1))
    ]


def test_an_image_that_tests_twice_is_refused(tmp_path):
    cuts = [fold(tmp_path, number, ("z", "b", 0.25)) for number in (1, 2)]
    with pytest.raises(GraftError, match="in the test part of two folds"):
        pooled(TASK, cuts, NUMBER)


def test_what_is_written_ranks_as_the_logits_did(tmp_path):
    """All three are 1 when rounded; the other class's share, written in full, tells them apart."""
    cut = fold(tmp_path, 1)
    rows = [
        {"path": name, "predicted": "b", "label": label, "p_b": 1.0, "p_a": share}
        for name, label, share in (("x", "b", 1e-40), ("y", "a", 1e-20), ("z", "b", 1e-30))
    ]
    write_csv(cut.folder.predictions, rows)
    found, _ = pooled(TASK, [cut], NUMBER)
    assert found.scores[:, 0].argsort().tolist() == [1, 2, 0]
    assert (found.scores[:, 1] == -found.scores[:, 0]).all()
