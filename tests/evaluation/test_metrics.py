"""The metrics are scikit-learn's, over classes that have support; what is undefined is no number."""

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from graft.configuration.metric_names import ASSESSED, OF_A_CLASS
from graft.evaluation import metrics
from graft.evaluation.calibration import log_odds
from graft.evaluation.metrics import from_confusion


@pytest.mark.parametrize("case", range(40))
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_equals_scikit_learn_on_random_and_degenerate_labels(case: int) -> None:
    rng = np.random.default_rng(case)
    classes = int(rng.integers(2, 7))
    present = rng.permutation(classes)[: rng.integers(1, classes + 1)]
    true = rng.choice(present, size=rng.integers(1, 30))
    guessed = rng.choice(classes, size=len(true))
    matrix = confusion_matrix(true, guessed, labels=range(classes))
    ours = from_confusion(torch.from_numpy(matrix))
    support = np.unique(true)
    precision, recall, f1, _ = precision_recall_fscore_support(
        true, guessed, labels=support, average="macro", zero_division=0
    )
    assert ours["accuracy"] == pytest.approx(accuracy_score(true, guessed))
    assert ours["precision_macro"] == pytest.approx(precision)
    assert ours["recall_macro"] == pytest.approx(recall)
    assert ours["f1_macro"] == pytest.approx(f1)
    if len(support) > 1:
        assert ours["recall_macro"] == pytest.approx(balanced_accuracy_score(true, guessed))


def test_the_small_fixture() -> None:
    true = [0, 0, 0, 1, 1, 1, 2, 2]
    guessed = [0, 0, 0, 1, 1, 2, 2, 2]
    ours = from_confusion(torch.from_numpy(confusion_matrix(true, guessed)))
    assert ours["accuracy"] == 0.875
    assert ours["recall_macro"] == pytest.approx(0.888889, abs=1e-6)
    assert ours["f1_macro"] == pytest.approx(0.866667, abs=1e-6)


def test_no_examples_give_no_metrics() -> None:
    assert from_confusion(torch.zeros(3, 3)) == {}


def answers(case, tied=False):
    """Random labels, probabilities and predictions; some classes are absent, down to a single one present."""
    rng = np.random.default_rng(case)
    classes = int(rng.integers(2, 7))
    present = rng.permutation(classes)[: rng.integers(1, classes + 1)]
    labels = rng.choice(present, size=rng.integers(1, 40))
    p = rng.dirichlet(np.full(classes, 0.5), len(labels))
    if tied:
        p = np.round(p * 4) + 0.5
        p /= p.sum(1, keepdims=True)
    return labels, p, p.argmax(1)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("case", range(30))
def test_every_metric_is_scikit_learns_where_it_is_defined(case, tied):
    labels, p, predicted = answers(case, tied)
    found, rows = metrics.measure(labels, p, predicted, p), metrics.of_classes(labels, p, predicted, p)
    assert tuple(found) == ASSESSED
    matrix = confusion_matrix(labels, predicted, labels=range(p.shape[1]))
    for key, value in from_confusion(torch.from_numpy(matrix)).items():
        assert found[key] == pytest.approx(value)
    assert found["balanced_accuracy"] == found["recall_macro"]
    assert found["log_loss"] == pytest.approx(log_loss(labels, p, labels=range(p.shape[1])))
    one_hot = np.eye(p.shape[1])[labels]
    assert found["brier"] == pytest.approx(((p - one_hot) ** 2).sum(1).mean())
    curves = {"auroc": [], "average_precision": []}
    for label, row in enumerate(rows):
        own = labels == label
        assert row["support"] == own.sum()
        if not own.any():
            assert [row[key] for key in OF_A_CLASS] == [None] * 5
            continue
        curves["average_precision"].append(average_precision_score(own, p[:, label]))
        assert row["average_precision"] == pytest.approx(curves["average_precision"][-1])
        if own.all():
            assert row["auroc"] is None
            continue
        curves["auroc"].append(roc_auc_score(own, p[:, label]))
        assert row["auroc"] == pytest.approx(curves["auroc"][-1])
    for key, values in curves.items():
        assert found[key] == (pytest.approx(np.mean(values)) if values else None)


def test_an_absent_class_enters_no_mean():
    """Counted as 0, as torchmetrics does, it would take a third of the AUROC away."""
    p = np.array([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1]])
    found = metrics.measure(np.array([0, 0, 1, 1]), p, p.argmax(1), p)
    assert (found["auroc"], found["average_precision"], found["recall_macro"]) == (1, 1, 1)


def test_all_of_one_class_has_no_auroc():
    p = np.array([[0.8, 0.2], [0.3, 0.7]])
    found = metrics.measure(np.zeros(2, int), p, p.argmax(1), p)
    assert found["auroc"] is None
    assert found["accuracy"] == 0.5


def test_no_images_have_no_metrics():
    nothing = np.zeros(0, int)
    assert metrics.measure(nothing, np.zeros((0, 3)), nothing, np.zeros((0, 3))) == {}


def test_the_calibration_error_of_a_case_done_by_hand():
    """In single precision 1.0 is in the last bin, and an edge belongs to the bin below it."""
    p = np.array([[1.0, 0.0], [1.0, 0.0], [0.6, 0.4], [0.6, 0.4], [0.61, 0.39]])
    labels = np.array([0, 1, 0, 0, 1])
    found = metrics.reliability(labels, p, p.argmax(1))
    assert found.images.tolist() == [0] * 8 + [2, 1, 0, 0, 0, 0, 2]
    assert found.accuracy[[8, 9, 14]].tolist() == [1.0, 0.0, 0.5]
    assert found.confidence[[8, 9, 14]] == pytest.approx([0.6, 0.61, 1.0])
    expected = (2 * 0.4 + 1 * 0.61 + 2 * 0.5) / 5
    assert metrics.expected_calibration_error(labels, p, p.argmax(1)) == pytest.approx(expected)


def test_full_confidence_is_in_no_bin_of_its_own():
    """Torchmetrics has a bin for 1.0 alone: 0.525 instead of 0.475 for such a case (its issue 3510)."""
    p = np.array([[1.0, 0.0], [0.95, 0.05]])
    assert metrics.bins_of(p.max(1)).tolist() == [14, 14]
    # One right and one wrong of a mean confidence of 0.975.
    found = metrics.expected_calibration_error(np.array([0, 1]), p, np.array([0, 0]))
    assert found == pytest.approx(0.475)


def test_single_precision_gives_what_double_gives():
    labels, p, predicted = answers(11)
    single, double = (
        metrics.measure(labels, p.astype(np.float32), predicted, p),
        metrics.measure(labels, p, predicted, p),
    )
    for key, value in double.items():
        assert single[key] == (None if value is None else pytest.approx(value, rel=1e-5))


def test_probabilities_that_round_to_one_are_ranked_by_their_logits():
    """In single precision the first three are 1, and the first class's AUROC would be .75."""
    logits, labels = np.array([[30.0, 0], [25, 0], [20, 0], [0, 5]], np.float32), np.array([0, 0, 1, 1])
    p = torch.from_numpy(logits).softmax(1).numpy()
    assert metrics.of_classes(labels, p, p.argmax(1), p)[0]["auroc"] == 0.75
    found = metrics.measure(labels, p, p.argmax(1), log_odds(logits))
    assert found["auroc"] == found["average_precision"] == 1.0
