"""What an epoch pools is the epoch's, not a mean of its batches'."""

import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss

from graft.configuration.metric_names import EACH_EPOCH
from graft.tasks.tally import Tally


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
    assert tuple(found) == EACH_EPOCH


def test_a_weighted_loss_is_pooled_by_weight() -> None:
    torch.manual_seed(0)
    logits, labels, weights = torch.randn(10, 3), torch.randint(0, 3, (10,)), torch.tensor([0.1, 1.0, 5.0])
    tally = Tally(3)
    for part in (slice(0, 7), slice(7, 10)):
        loss = torch.nn.functional.cross_entropy(logits[part], labels[part], weight=weights)
        tally.update(logits[part], labels[part], loss, weights[labels[part]].sum())
    whole = torch.nn.functional.cross_entropy(logits, labels, weight=weights)
    assert tally.compute()["loss"] == pytest.approx(float(whole), rel=1e-6)
