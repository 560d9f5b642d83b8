"""Running a frozen prefix over images, once."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from graft.data.loading import Batch


def extract(
    run: Callable[[Tensor], Tensor], batches: Iterable[Batch], size: int, tell: Callable[[int], None]
) -> Iterator[Tensor]:
    """Boundary tensors `(B, …)` of batches, on the CPU, contiguous, without a gradient.

    Args:
        run: images `(size, 3, H, W)` to boundary tensors `(size, …)`.
        batches: with `image`, `(B, 3, H, W)`; B is at most `size`.
        size: of a full batch.
        tell: called after each batch with the number of images done; may raise to stop.
    """
    done = 0
    for batch in batches:
        images = batch["image"]
        count = len(images)
        images = filled_up(images, size)
        # Autograd refuses tensors of inference mode, so it is off here, also within validation.
        with torch.inference_mode(False), torch.no_grad():
            tensors = run(images)[:count].cpu().contiguous()
        done += count
        tell(done)
        yield tensors


def filled_up(images: Tensor, size: int) -> Tensor:
    """A batch `(B, …)` of at least `size`, filled up with its last image where it has fewer.

    The number of images in a batch changes the last bits of each result.
    """
    lacks = size - len(images)
    return torch.cat([images, images[-1:].expand(lacks, *images.shape[1:])]) if lacks > 0 else images


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Put modules in evaluation mode within the block; afterwards each is as it was."""
    modes = {module: module.training for outer in modules for module in outer.modules()}
    for module in modes:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
