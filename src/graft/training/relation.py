"""What the source's classes have to do with the target's, asked of the source network before training."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import softmax

from graft.data import ImageDataModule
from graft.errors import GraftError
from graft.regularization import CoTuning
from graft.training.module import Batch, TransferModule
from graft.training.ranks import lone_trainer
from graft.training.trainer import quiet_lightning


class SourceNetwork(pl.LightningModule):
    """The backbone with the source's head; keeps the sum of what it says of each target class's images.

    Args:
        backbone: images `(N, 3, H, W)` to features `(N, D)`.
        source_head: features to the source's logits `(N, S)`.
        relation: says C and S.
    """

    def __init__(self, backbone: nn.Module, source_head: nn.Module, relation: Tensor) -> None:
        super().__init__()
        self.backbone = backbone
        self.source_head = source_head
        # No buffers: they stay on the CPU, in double precision, which not every device has.
        self.sums = torch.zeros_like(relation, dtype=torch.float64)
        self.counts = torch.zeros(len(relation), dtype=torch.int64)

    def predict_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Preprocessed images and their labels to p(s | x) `(B, S)`."""
        said = softmax(self.source_head(self.backbone(batch["image"])).float(), dim=1)
        labels = batch["label"].cpu()
        self.sums.index_add_(0, labels, said.cpu().double())
        self.counts += torch.bincount(labels, minlength=len(self.counts))
        return said

    def relation(self) -> Tensor:
        """p(s | t) `(C, S)`: row t is the mean of p(s | x) over the images x of class t."""
        return self.sums / self.counts[:, None]


def learn_relation(module: TransferModule, loading: ImageDataModule, trainer: dict[str, Any]) -> None:
    """Fill in the relation that co-tuning needs; nothing happens where the regulariser is another.

    All training images pass once, as in evaluation and in single precision, through backbone and source head
    in evaluation mode. Neither the weights nor the random generators change.

    Args:
        module: with nothing trained yet.
        loading: gives the training images, at least one a class.
        trainer: `accelerator` and `devices`.

    Raises:
        GraftError: an image cannot be read, or the source's head gives NaN.
    """
    regularizer = module.regularizer
    if not isinstance(regularizer, CoTuning):
        return
    quiet_lightning()
    network = SourceNetwork(module.backbone, regularizer.source_head, regularizer.relation)
    asked = lone_trainer(
        trainer["accelerator"],
        trainer["devices"],
        enable_progress_bar=False,
        # What is made in inference mode cannot be trained on.
        inference_mode=False,
    )
    asked.predict(network, loading.ordered_loader("train"), return_predictions=False)
    relation = network.relation()
    if not torch.isfinite(relation).all():
        raise GraftError("regularizer=co_tuning: the source's head gives NaN for training images")
    regularizer.relation.copy_(relation)
    classes, sources = relation.shape
    print(
        f"co-tuning: {sources} source classes related to {classes} by {int(network.counts.sum())} images",
        flush=True,
    )
