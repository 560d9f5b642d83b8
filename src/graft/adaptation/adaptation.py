"""What every adaptation can do, what it is given and gives, and the one that does nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Domain(NamedTuple):
    """What the network makes of one domain's samples of a step.

    Attributes:
        features: `(B, D)`, what enters the head.
        logits: `(B, C)`, what the head makes of them.
    """

    features: Tensor
    logits: Tensor


class Step(NamedTuple):
    """What an adaptation makes of a step.

    Attributes:
        terms: scalars that are added to the source's loss, their weight included, by the name that each is
            logged under.
        measures: scalars that are only logged, as means; detached.
    """

    terms: dict[str, Tensor]
    measures: dict[str, Tensor]


class Adaptation(Protocol):
    """Terms beside the source's loss that look at a target without labels.

    The source's labels are not passed either: no method here needs them. One that is an `nn.Module` trains
    along: its parameters are in the optimizer, and its state dict is in the checkpoints; neither is in the
    bundle.
    """

    def prepare(self, width: int, classes: int) -> None:
        """Make what depends on the sizes D and C, once, under a generator that the caller has seeded.

        A resumed run comes here before its checkpoint is loaded.
        """

    def step(self, source: Domain, target: Domain, progress: float) -> Step:
        """The terms of one step; the domains may differ in size, and have one sample.

        Args:
            source: of the source's samples.
            target: of the target's.
            progress: how much of the whole run is over, from 0 to 1. Nothing is counted here, so that a
                resumed run goes on as it was.
        """


def none() -> None:
    """No adaptation: the target is neither looked at nor trained on."""


@contextmanager
def single_precision(source: Domain, target: Domain) -> Iterator[tuple[Domain, Domain]]:
    """Both domains in float32 at least, and without autocast while the context lasts.

    Squares, exponentials and small differences of large sums are beyond half precision.
    """
    first, second = (
        Domain(*(tensor.to(torch.promote_types(tensor.dtype, torch.float32)) for tensor in domain))
        for domain in (source, target)
    )
    with torch.autocast(source.features.device.type, enabled=False):
        yield first, second
