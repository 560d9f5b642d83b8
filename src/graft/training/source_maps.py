"""How large the source's maps are, measured before training: what `regularizer=delta` has its unit from."""

import pytorch_lightning as pl
import torch
from torch import Tensor

from graft.backbones import Backbone
from graft.configuration.run_config import Node
from graft.data import ImageDataModule
from graft.errors import GraftError
from graft.objective import Delta
from graft.objective.behaviour import outputs
from graft.training.module import Batch, TransferModule
from graft.training.relation import ask


class MapSizes(pl.LightningModule):
    """The source backbone; keeps the sum over the images of each stage's mean square.

    Args:
        backbone: images `(N, 3, H, W)` to features `(N, D)`.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        # No buffer: it stays on the CPU, in double precision, which not every device has.
        self.sums = torch.zeros(len(backbone), dtype=torch.float64)
        self.count = 0

    def predict_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Take note of preprocessed images `(B, 3, H, W)`; gives the sums of squares."""
        maps = outputs(self.backbone, batch["image"])
        of_each = [out.float().square().flatten(1).mean(1).cpu().double().sum() for out in maps]
        sums = torch.stack(of_each)
        self.sums += sums
        self.count += len(batch["image"])
        # Lightning warns of a step that gives nothing.
        return sums


def measure_maps(module: TransferModule, loading: ImageDataModule, trainer: Node) -> None:
    """Fill in the mean squares that DELTA divides by; nothing happens where the regulariser is another.

    All training images pass once, as in evaluation and in single precision. A run that goes on has them from
    its checkpoint. A stage that gives nothing but zeros keeps 1.

    Args:
        module: with nothing trained yet.
        loading: gives the training images.
        trainer: `accelerator` and `devices`.

    Raises:
        GraftError: an image cannot be read, or the source gives NaN or infinity.
    """
    regularizer = module.regularizer
    if not isinstance(regularizer, Delta):
        return
    sizes = MapSizes(module.backbone)
    ask(sizes, loading, trainer)
    squares = sizes.sums / sizes.count
    if not torch.isfinite(squares).all():
        raise GraftError("regularizer=delta: the source gives NaN or infinity for training images")
    squares[squares == 0] = 1.0
    regularizer.squares.copy_(squares)
    print(f"delta: the source's maps measured on {sizes.count} images", flush=True)
