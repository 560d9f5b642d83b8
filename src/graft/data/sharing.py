"""Which images make a batch, and which of them go to each of several processes that train together."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler


class Share(NamedTuple):
    """Which process this is, from 0, and how many there are."""

    number: int
    size: int


WHOLE = Share(0, 1)


def batch_count(count: int, batch_size: int, processes: int = 1) -> int:
    """How many batches an epoch of N images has: ⌈N / B⌉, with B over all processes.

    Fewer, and so larger ones, where a process would have a single image of a batch, on which BatchNorm cannot
    train: with B = 2 and an odd N one batch has three. Where B asks for single images, it gets them.
    """
    fewest, batches = 2 * processes, -(-count // batch_size)
    return batches if batch_size < fewest else max(1, min(batches, count // fewest))


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """Batches of `(epoch, position)`, in an order that seed and epoch alone determine.

    Their sizes differ by at most one, and no image is left out: the statistics of a last batch of the few
    that full ones leave over would spoil BatchNorm's. Each process has every `share.size`-th item of each
    batch: together they see the batches that one would see.

    Args:
        count: how many images there are.
        batch_size: of the largest batch, over all processes.
        seed: of the order.
        start: called at each beginning; the epoch, and how many of its batches are already done.
        share: which items are this process's.
        steps: batches of an epoch; None: as many as the images make. More or fewer go on from epoch to epoch
            through one round of all images after another, and a key names the round.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        seed: int,
        start: Callable[[], tuple[int, int]],
        share: Share = WHOLE,
        steps: int | None = None,
    ) -> None:
        self.count = count
        self.batches = batch_count(count, batch_size, share.size)
        self.steps = steps or self.batches
        self.seed = seed
        self.start = start
        self.share = share

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, done = self.start()
        number, end = epoch * self.steps + done, (epoch + 1) * self.steps
        while number < end:
            turn, first = divmod(number, self.batches)
            order = np.random.default_rng([self.seed, turn]).permutation(self.count)
            batches = np.array_split(order, self.batches)[first : first + end - number]
            for batch in batches:
                yield [(turn, position) for position in batch[self.share.number :: self.share.size].tolist()]
            number += len(batches)


def even_batches(count: int, batch_size: int, share: Share) -> list[list[int]]:
    """This process's positions among `count`, in order, each position on exactly one process.

    Every process has as many batches as the others, and none is empty, so that they may meet at each: that
    is why they are cut evenly, not filled one by one. (PyTorch's `DistributedSampler` counts some images
    twice instead.)
    """
    most = -(-count // share.size)
    # With batches of one image, a process with an image less than another would have an empty batch.
    batches = -(-most // max(2, batch_size // share.size))
    indices = np.arange(share.number, count, share.size)
    return [part.tolist() for part in np.array_split(indices, batches)]
