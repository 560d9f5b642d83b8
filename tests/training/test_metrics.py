"""The metrics are scikit-learn's, pooled over the epoch, over classes that have support."""

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
)

from graft.training.metrics import Tally, from_confusion


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


@pytest.mark.parametrize("sizes", [[21], [8, 8, 5], [20, 1]])
def test_uneven_batches_are_pooled(sizes: list[int]) -> None:
    torch.manual_seed(1)
    logits, labels = torch.randn(21, 4), torch.randint(0, 4, (21,))
    tally = Tally(4)
    for some_logits, some_labels in zip(logits.split(sizes), labels.split(sizes), strict=True):
        tally.update(some_logits, some_labels)
    found = tally.compute()
    probabilities = logits.double().softmax(1).numpy()
    assert found["loss"] == pytest.approx(log_loss(labels, probabilities, labels=range(4)), rel=1e-5)
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, logits.argmax(1)))
    assert tally.confusion.sum() == 21


def test_a_weighted_loss_is_pooled_by_weight() -> None:
    torch.manual_seed(0)
    logits, labels, weights = torch.randn(10, 3), torch.randint(0, 3, (10,)), torch.tensor([0.1, 1.0, 5.0])
    tally = Tally(3)
    for part in (slice(0, 7), slice(7, 10)):
        loss = torch.nn.functional.cross_entropy(logits[part], labels[part], weight=weights)
        tally.update(logits[part], labels[part], loss, weights[labels[part]].sum())
    whole = torch.nn.functional.cross_entropy(logits, labels, weight=weights)
    assert tally.compute()["loss"] == pytest.approx(float(whole), rel=1e-6)
