"""What a test comes to: numbers, intervals, classes, figures."""

import numpy as np
import pytest
from PIL import Image

from graft.configuration.metric_names import ASSESSED, OF_A_CLASS
from graft.evaluation import answer_figures
from graft.evaluation.answers import Answers, confusion_of
from graft.evaluation.assessment import assess, spelled
from graft.evaluation.calibration import log_odds
from graft.evaluation.metrics import measure


def answered(count=60, sharpness=1.0):
    """Answers about three classes, of which "cow" is never there."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, count)
    logits = rng.normal(size=(count, 3)) + 1.5 * np.eye(3)[labels]
    p = np.exp(sharpness * logits)
    p /= p.sum(1, keepdims=True)
    names = [f"photos/{index}.jpg" for index in range(count)]
    return Answers(
        ["zebra", "$ant$", "cow"], names, labels, p, log_odds(sharpness * logits), logits.argmax(1)
    )


def blank(row):
    return Image.new("L", (20, 10 + row))


def test_each_metric_stands_beside_its_interval():
    answers = answered()
    metrics, rows = assess(answers)
    assert list(metrics) == ["errors", *(name for key in ASSESSED for name in (key, f"{key}_ci"))]
    assert metrics["errors"] == (answers.labels != answers.predicted).sum()
    _, _, labels, p, scores, predicted = answers
    assert {key: metrics[key] for key in ASSESSED} == measure(labels, p, predicted, scores)
    for key in ("accuracy", "log_loss", "brier"):
        low, high = metrics[f"{key}_ci"]
        assert low < metrics[key] < high
    # Of the third class there is no image.
    assert metrics["f1_macro_ci"] is metrics["auroc_ci"] is None
    assert [row["class"] for row in rows] == answers.class_names
    for row in rows[:2]:
        for key in OF_A_CLASS:
            assert 0 <= row[f"{key}_low"] <= row[key] <= row[f"{key}_high"] <= 1


def test_no_mistakes_are_no_picture():
    answers = answered()
    assert answer_figures.mistakes(answers._replace(predicted=answers.labels), blank) is None


def test_the_surest_mistakes_come_first():
    answers = answered()
    shown = []
    figure = answer_figures.mistakes(answers, lambda row: shown.append(row) or blank(row))
    sure = answers.probabilities[np.arange(60), answers.predicted]
    wrong = np.flatnonzero(answers.labels != answers.predicted)
    assert shown == sorted(wrong, key=lambda row: -sure[row])[:12]
    title = figure.axes[0].get_title()
    assert f"photos/{shown[0]}.jpg" in title
    assert f"{sure[shown[0]]:.3f}" in title
    assert figure.get_suptitle().startswith(f"{len(wrong)} of 60 wrong")


def test_the_reliability_diagram_says_which_way_it_errs():
    sure, unsure = answered(sharpness=5), answered(sharpness=0.2)
    assert "too sure" in answer_figures.reliability_figure(sure).get_suptitle()
    title = answer_figures.reliability_figure(unsure, sure).get_suptitle()
    assert "too unsure" in title
    assert "before calibration" in title


@pytest.mark.parametrize("classes", [2, 7, 40])
def test_precision_and_recall_are_drawn_for_any_number_of_classes(classes):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, classes, 300)
    p = rng.dirichlet(np.ones(classes), 300) + np.eye(classes)[labels] / 3
    answers = Answers([f"c{c}" for c in range(classes)], [""] * 300, labels, p, p, p.argmax(1))
    _, rows = assess(answers)
    figure = answer_figures.precision_recall(answers, rows)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    worst = min((row for row in rows), key=lambda row: row["average_precision"])
    assert len(names) == min(classes, 7) + (classes > 7)
    assert names[0].startswith(worst["class"] + " ")
    assert worst["class"] in figure.get_suptitle()


def test_the_confusion_counts_every_image():
    counts = confusion_of(answered())
    assert counts.sum() == 60
    assert counts[2].sum() == 0


def test_a_metric_is_spelled_with_its_interval():
    metrics = {"test/f1": 0.5, "test/f1_ci": [0.4, 0.61234], "test/auroc": None, "test/auroc_ci": None}
    assert spelled(metrics, "test/f1") == ("0.5000", "0.4000 to 0.6123")
    assert spelled(metrics, "test/auroc") == ("–", "")
