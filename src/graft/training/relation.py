"""What the source's classes have to do with the target's, asked of the source network before training."""

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import softmax

from graft.backbones import SourceHead, source_network
from graft.configuration.run_config import Node
from graft.data import ImageDataModule
from graft.errors import GraftError
from graft.objective import CoTuning
from graft.processes.lightning import lone_trainer
from graft.training.module import Batch, TransferModule
from graft.training.trainer import quiet_lightning


class SourceNetwork(pl.LightningModule):
    """The source's network; keeps the sum of what it says of each target class's images.

    Args:
        network: images `(N, 3, H, W)` to the source's logits `(N, S)`.
        relation: says C and S.
    """

    def __init__(self, network: nn.Module, relation: Tensor) -> None:
        super().__init__()
        self.network = network
        # No buffers: they stay on the CPU, in double precision, which not every device has.
        self.sums = torch.zeros_like(relation, dtype=torch.float64)
        self.counts = torch.zeros(len(relation), dtype=torch.int64)

    def predict_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Preprocessed images and their labels to p(s | x) `(B, S)`."""
        said = softmax(self.network(batch["image"]).float(), dim=1)
        labels = batch["label"].cpu()
        self.sums.index_add_(0, labels, said.cpu().double())
        self.counts += torch.bincount(labels, minlength=len(self.counts))
        return said

    def relation(self) -> Tensor:
        """p(s | t) `(C, S)`: row t is the mean of p(s | x) over the images x of class t."""
        return self.sums / self.counts[:, None]


def learn_relation(module: TransferModule, loading: ImageDataModule, trainer: Node) -> None:
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
    head = SourceHead(regularizer.source_head, regularizer.replaces)
    network = SourceNetwork(source_network(module.backbone, head), regularizer.relation)
    ask(network, loading, trainer)
    relation = network.relation()
    if not torch.isfinite(relation).all():
        raise GraftError("regularizer=co_tuning: the source's head gives NaN for training images")
    regularizer.relation.copy_(relation)
    classes, sources = relation.shape
    print(
        f"co-tuning: {sources} source classes related to {classes} by {int(network.counts.sum())} images",
        flush=True,
    )


def ask(network: pl.LightningModule, loading: ImageDataModule, trainer: Node) -> None:
    """Show `network` all training images once, as in evaluation: its `predict_step` takes note of them.

    This process does it alone, before there are others. Nothing is drawn from the random generators.
    """
    quiet_lightning()
    asked = lone_trainer(
        trainer["accelerator"],
        trainer["devices"],
        enable_progress_bar=False,
        # What is made in inference mode cannot be trained on.
        inference_mode=False,
    )
    asked.predict(network, loading.ordered_loader("train"), return_predictions=False)
