"""Running a frozen prefix over images, once."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from graft.backbones.inputs import Input, count_of, filled_up
from graft.data.loading import Batch


def extract(
    run: Callable[[Input], Tensor], batches: Iterable[Batch], size: int, tell: Callable[[int], None]
) -> Iterator[Tensor]:
    """Boundary tensors `(B, …)` of batches, on the CPU, contiguous, without a gradient.

    Args:
        run: inputs of `size` samples to boundary tensors `(size, …)`.
        batches: with `input`, of B samples; B is at most `size`.
        size: of a full batch.
        tell: called after each batch with the number of samples done; may raise to stop.
    """
    done = 0
    for batch in batches:
        count = count_of(batch["input"])
        given = filled_up(batch["input"], size)
        # Autograd refuses tensors of inference mode, so it is off here, also within validation.
        with torch.inference_mode(False), torch.no_grad():
            tensors = run(given)[:count].cpu().contiguous()
        done += count
        tell(done)
        yield tensors


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
