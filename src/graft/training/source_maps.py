"""How large the source's maps are, measured before training: what `regularizer=delta` has its unit from."""

import torch

from graft.configuration.run_config import Node
from graft.data import ImageDataModule
from graft.errors import GraftError
from graft.objective import Delta
from graft.objective.behaviour import outputs
from graft.training.module import Batch, TransferModule
from graft.training.relation import look_at_training_images


def measure_maps(module: TransferModule, loading: ImageDataModule, trainer: Node) -> None:
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
        for stage, maps in enumerate(outputs(backbone, batch["image"])):
            sums[stage] += maps.float().square().flatten(1).mean(1).cpu().double().sum()
        images += len(batch["image"])

    look_at_training_images(backbone, loading, trainer, add)
    squares = sums / images
    if not torch.isfinite(squares).all():
        raise GraftError("regularizer=delta: the source gives NaN or infinity for training images")
    squares[squares == 0] = 1.0
    regularizer.squares.copy_(squares)
    print(f"delta: the source's maps measured on {images} images", flush=True)
