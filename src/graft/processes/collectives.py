"""What the processes of one run tell each other. A single process tells itself."""

import hashlib
import json
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from graft.errors import GraftError

Value = TypeVar("Value")


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def index() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def gathered(value: Value) -> list[Value]:
    """What every process gives, in their order; all must call this."""
    values = [value] * size()
    if len(values) > 1:
        dist.all_gather_object(values, value)
    return values


def summed(value: Tensor) -> Tensor:
    """The sum over all processes of a tensor of one shape; all must call this."""
    if size() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def of_first(value: Tensor) -> Tensor:
    """The first process's tensor, of the shape that `value` has in all; all must call this."""
    if size() == 1:
        return value
    known = value.detach().clone()
    dist.broadcast(known, 0)
    return known


def any_of(*flags: bool) -> list[bool]:
    """For each flag whether it is set in any process; all must call this."""
    return list(flags) if size() == 1 else (summed(torch.tensor(flags, dtype=torch.int64)) > 0).tolist()


def check_same(*values: object) -> None:
    """Refuse to train where the processes hold different configurations or data; all must call this.

    Raises:
        GraftError: they are not.
    """
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    if len(set(gathered(digest))) > 1:
        raise GraftError("the processes of this run do not see the same configuration and data")
