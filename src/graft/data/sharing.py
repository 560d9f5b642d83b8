"""One process's share of the images, where several train or validate together."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import BatchSampler, Sampler


class Share(NamedTuple):
    """Which process this is, from 0, and how many there are."""

    rank: int
    size: int


WHOLE = Share(0, 1)


class SharedBatches(Sampler[list[Any]]):
    """Of each batch every `share.size`-th item: together the processes see the batches that one would see.

    Args:
        order: the items of an epoch, the same on all processes.
        batch_size: over all processes.
        drop_last: whether a last batch that is not full is left out.
        share: which items are this process's.
    """

    def __init__(self, order: Sampler[Any], batch_size: int, drop_last: bool, share: Share) -> None:
        self.whole = BatchSampler(order, batch_size, drop_last)
        self.share = share

    def __len__(self) -> int:
        return len(self.whole)

    def __iter__(self) -> Iterator[list[Any]]:
        for batch in self.whole:
            yield batch[self.share.rank :: self.share.size]


def even_batches(count: int, batch_size: int, share: Share) -> list[list[int]]:
    """This process's positions among `count`, each position on exactly one process.

    Every process has as many batches as the others, and none is empty, so that they may meet at each: that
    is why they are cut evenly, not filled one by one. (PyTorch's `DistributedSampler` counts some images
    twice instead.)

    Args:
        count: how many items there are, at least one a process.
        batch_size: over all processes.
        share: which process this is.
    """
    most = -(-count // share.size)
    # With batches of one, a process that has an image less than another would have an empty batch.
    batches = -(-most // max(2, batch_size // share.size))
    own = np.arange(share.rank, count, share.size)
    return [part.tolist() for part in np.array_split(own, batches)]
