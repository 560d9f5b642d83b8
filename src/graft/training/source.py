"""What regularisers ask of the source before training: co-tuning's relation of classes, DELTA's unit."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import softmax

from graft.backbones import SourceHead, source_network
from graft.backbones.inputs import count_of, moved
from graft.configuration.run_config import Node
from graft.data import SampleDataModule
from graft.errors import GraftError
from graft.features.extraction import evaluating
from graft.objective import CoTuning, Delta
from graft.objective.behaviour import outputs
from graft.processes.lightning import lone_trainer
from graft.training.module import Batch, TransferModule


def learn_relation(module: TransferModule, loading: SampleDataModule, trainer: Node) -> None:
    """Fill in the relation that co-tuning needs; nothing happens where the regulariser is another.

    All training images pass once, as in evaluation and in single precision, through backbone and source head
    in evaluation mode. p(s | t) `(C, S)` is the mean of p(s | x) over the images x of class t. Neither the
    weights nor the random generators change.

    Raises:
        GraftError: an image cannot be read, or the source's head gives NaN.
    """
    regularizer = module.regularizer
    if not isinstance(regularizer, CoTuning):
        return
    network = source_network(module.backbone, SourceHead(regularizer.source_head, regularizer.replaces))
    # On the CPU and in double precision, which not every device has.
    sums = torch.zeros_like(regularizer.relation, dtype=torch.float64)
    counts = torch.zeros(len(sums), dtype=torch.int64)

    def add(batch: Batch) -> None:
        shares = softmax(network(batch["input"]).float(), dim=1)
        sums.index_add_(0, batch["target"], shares.cpu().double())
        counts.add_(torch.bincount(batch["target"], minlength=len(counts)))

    look_at_training_images(network, loading, trainer, add)
    relation = sums / counts[:, None]
    if not torch.isfinite(relation).all():
        raise GraftError("regularizer=co_tuning: the source's head gives NaN for training images")
    regularizer.relation.copy_(relation)
    classes, sources = relation.shape
    print(
        f"co-tuning: {sources} source classes related to {classes} by {int(counts.sum())} "
        f"{loading.data.kind.plural}",
        flush=True,
    )


def measure_maps(module: TransferModule, loading: SampleDataModule, trainer: Node) -> None:
    """Fill in the mean squares that DELTA divides by; nothing happens where the regulariser is another.

    All training images pass once, as in evaluation and in single precision. A run that goes on has them from
    its checkpoint. A stage that gives nothing but zeros keeps 1.

    Raises:
        GraftError: an image cannot be read, or the source gives NaN or infinity.
    """
    regularizer = module.regularizer
    if not isinstance(regularizer, Delta):
        return
    backbone, images = module.backbone, 0
    # On the CPU and in double precision, which not every device has.
    sums = torch.zeros(len(backbone), dtype=torch.float64)

    def add(batch: Batch) -> None:
        nonlocal images
        for stage, maps in enumerate(outputs(backbone, batch["input"])):
            sums[stage] += maps.float().square().flatten(1).mean(1).cpu().double().sum()
        images += count_of(batch["input"])

    look_at_training_images(backbone, loading, trainer, add)
    squares = sums / images
    if not torch.isfinite(squares).all():
        raise GraftError("regularizer=delta: the source gives NaN or infinity for training images")
    squares[squares == 0] = 1.0
    regularizer.squares.copy_(squares)
    print(f"delta: the source's maps measured on {images} {loading.data.kind.plural}", flush=True)


def look_at_training_images(
    network: nn.Module, loading: SampleDataModule, trainer: Node, look: Callable[[Batch], None]
) -> None:
    """Give `look` all training images once, in order, as in evaluation, with `network` in evaluation mode.

    This process does it alone, before there are others. Nothing is drawn from the random generators. Network
    and images are on the device that the trainer's settings name meanwhile, labels stay on the CPU.
    """
    device = lone_trainer(trainer["accelerator"], trainer["devices"]).strategy.root_device
    network.to(device)
    with torch.no_grad(), evaluating(network):
        for batch in loading.ordered_loader("train"):
            batch["input"] = moved(batch["input"], device)
            look(batch)
    network.cpu()
