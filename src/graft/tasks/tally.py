"""What an epoch pools: its loss, and the confusion matrix that every other of its metrics comes from."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchmetrics import Metric

from graft.evaluation.metrics import from_confusion


class Tally(Metric):
    """Pools loss and confusion matrix over an epoch (and over processes), then says every metric at once.

    A mean of batch metrics is not the metric of the epoch; that of a pooled matrix is.
    """

    full_state_update = False
    confusion: Tensor
    loss_sum: Tensor
    weight: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.add_state("confusion", torch.zeros(classes, classes, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("loss_sum", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("weight", torch.zeros(()), dist_reduce_fx="sum")

    def update(
        self, logits: Tensor, labels: Tensor, loss: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Add a batch.

        Args:
            logits: `(B, C)`.
            labels: `(B,)`; or `(B, C)` shares of mixed images, which have a loss but are right or wrong of
                no one class, so that the confusion stays as it is.
            loss: the batch's mean loss; plain cross-entropy unless given.
            weight: what the mean was divided by, the sum of the labels' class weights; B unless given.
        """
        logits = logits.detach().float()
        mean = cross_entropy(logits, labels) if loss is None else loss.detach()
        total = len(labels) if weight is None else weight
        # In place: to set a module's attribute costs more than the sum, and counting by `bincount`, as
        # torchmetrics does, waits for a GPU.
        self.loss_sum.add_(mean * total)
        self.weight.add_(total)
        if labels.ndim == 1:
            image = self.confusion.new_ones(())
            self.confusion.index_put_((labels, logits.argmax(1)), image, accumulate=True)

    def counts(self) -> dict[str, Tensor]:
        """What was added so far, on the CPU: `confusion` `(C, C)`, `loss_sum` and `weight`."""
        return {key: getattr(self, key).detach().cpu().clone() for key in ("confusion", "loss_sum", "weight")}

    def set_counts(self, counts: dict[str, Tensor]) -> None:
        """Replace what was added by what `counts` said."""
        for key, value in counts.items():
            setattr(self, key, value.to(getattr(self, key)))

    def compute(self) -> dict[str, float]:
        """`loss` and what `from_confusion` gives; empty when nothing was seen."""
        if self.weight == 0:
            return {}
        return {"loss": float(self.loss_sum / self.weight), **from_confusion(self.confusion)}
