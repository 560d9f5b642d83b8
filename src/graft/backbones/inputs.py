"""What enters a backbone: a tensor, or a mapping of tensors that begin with the same number of samples."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

# (B, …), or name to (B, …).
Input = Tensor | Mapping[str, Tensor]


def changed(given: Input, change: Callable[[Tensor], Tensor]) -> Input:
    """The same, every tensor changed."""
    if isinstance(given, Tensor):
        return change(given)
    return {name: change(tensor) for name, tensor in given.items()}


def count_of(given: Input) -> int:
    """B, how many samples there are."""
    return len(given if isinstance(given, Tensor) else next(iter(given.values())))


def device_of(given: Input) -> torch.device:
    """Where it is."""
    return (given if isinstance(given, Tensor) else next(iter(given.values()))).device


def moved(given: Input, device: torch.device | str, dtype: torch.dtype | None = None) -> Input:
    """On a device; tensors of floating point, not those of indices, as `dtype` where one is given."""

    def move(tensor: Tensor) -> Tensor:
        return tensor.to(device, dtype if tensor.is_floating_point() else None)

    return changed(given, move)


def first_of(given: Input, most: int) -> Input:
    """The first `most` samples."""
    return changed(given, lambda tensor: tensor[:most])


def filled_up(given: Input, size: int) -> Input:
    """A batch of at least `size` samples, filled up with its last one where it has fewer.

    The number of samples in a batch changes the last bits of each result.
    """

    def fill(tensor: Tensor) -> Tensor:
        lacks = size - len(tensor)
        return torch.cat([tensor, tensor[-1:].expand(lacks, *tensor.shape[1:])]) if lacks > 0 else tensor

    return changed(given, fill)


def joined(batches: Sequence[Input]) -> Input:
    """Batches of one shape, one or more, as one."""
    first = batches[0]
    if isinstance(first, Tensor):
        return torch.cat([batch for batch in batches if isinstance(batch, Tensor)])
    named = [batch for batch in batches if not isinstance(batch, Tensor)]
    return {name: torch.cat([batch[name] for batch in named]) for name in first}
