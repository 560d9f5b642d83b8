"""What a task writes of a test is whole, and what it wrote it reads."""

import numpy as np
import pytest
import torch
from PIL import Image

from graft.configuration.metric_names import OF_A_CLASS, PROBABILISTIC
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv
from graft.tasks import SingleLabel

TASK = SingleLabel(["zebra", "$ant$", "cow"])


def answered(count=60, sharpness=1.0):
    """Answers about three classes, of which "cow" is never there."""
    stream = np.random.default_rng(0)
    labels = stream.integers(0, 2, count)
    logits = stream.normal(size=(count, 3)) + 1.5 * np.eye(3)[labels]
    names = [f"photos/{index}.jpg" for index in range(count)]
    return TASK.answers(names, torch.from_numpy(labels), torch.from_numpy(logits), 1 / sharpness)


def blank(row):
    return Image.new("L", (20, 10 + row))


def test_what_it_wrote_it_reads(tmp_path):
    answers = answered()
    write_csv(tmp_path / "predictions.csv", TASK.rows(answers))
    again = TASK.read(read_csv(tmp_path / "predictions.csv"))
    assert again.names == answers.names
    for key in ("labels", "probabilities", "predicted"):
        assert np.array_equal(getattr(again, key), getattr(answers, key))
    np.testing.assert_allclose(again.scores, answers.scores)


def test_no_mistakes_are_no_picture(tmp_path):
    answers = answered()
    TASK.write(RunFolder(tmp_path), answers._replace(predicted=answers.labels), blank)
    assert not RunFolder(tmp_path).mistakes_figure.exists()


def test_what_is_undefined_is_written_as_nothing(tmp_path):
    folder = RunFolder(tmp_path)
    TASK.write(folder, answered(), blank)
    zebra, _, cow = read_csv(folder.classes)
    assert list(zebra) == [
        *("class", "support"),
        *(name for key in OF_A_CLASS for name in (key, f"{key}_low", f"{key}_high")),
    ]
    assert cow == {**dict.fromkeys(zebra, ""), "class": "cow", "support": "0"}
    one = answered()
    one = one._replace(labels=np.zeros(60, int))
    metrics = TASK.write(folder, one, blank)
    assert metrics["test/auroc"] is metrics["test/auroc_ci"] is None


@pytest.mark.figures
def test_everything_is_written(tmp_path):
    folder = RunFolder(tmp_path)
    metrics = TASK.write(folder, answered(), blank, answered(sharpness=4))
    for path in (
        folder.confusion_figure,
        folder.precision_figure,
        folder.reliability_figure,
        folder.mistakes_figure,
    ):
        with Image.open(path) as picture:
            assert min(picture.size) > 300
    assert {key for key in metrics if key.startswith("uncalibrated/")} == {
        f"uncalibrated/{name}" for key in PROBABILISTIC for name in (key, f"{key}_ci")
    }
    assert metrics["uncalibrated/log_loss"] != metrics["test/log_loss"]
    rows = read_csv(folder.predictions)
    assert len(rows) == 60
    assert rows == [{key: str(value) for key, value in row.items()} for row in TASK.rows(answered())]
