"""Randomness that depends on what is drawn for, never on who draws: worker, order or earlier draws."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.random import mtrand
from torch.utils.data import Sampler


@contextmanager
def random_stream(*key: int) -> Iterator[None]:
    """Seed torch, NumPy and Python from whole numbers >= 0; on leaving, their states are as before."""
    sequence = np.random.SeedSequence(key)
    seed = int(sequence.generate_state(1, np.uint64)[0])
    torch_state, numpy_generator, python_state = (
        torch.get_rng_state(),
        mtrand.get_bit_generator(),
        random.getstate(),
    )
    try:
        # Not torch.manual_seed, which would touch the GPUs' generators too.
        torch.default_generator.manual_seed(seed)
        # Another generator in its place: to copy and restore the Mersenne Twister's state takes 0.1 ms.
        mtrand.set_bit_generator(np.random.PCG64(sequence))
        random.seed(seed)
        yield
    finally:
        torch.set_rng_state(torch_state)
        mtrand.set_bit_generator(numpy_generator)
        random.setstate(python_state)


class EpochShuffle(Sampler[tuple[int, int]]):
    """`(epoch, position)` of each of `size` items, in an order that seed and epoch alone determine.

    Args:
        size: how many items there are.
        seed: of the order.
        start: called at each beginning; the epoch, and how many of its items are already done.
    """

    def __init__(self, size: int, seed: int, start: Callable[[], tuple[int, int]]) -> None:
        self.size = size
        self.seed = seed
        self.start = start

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch, done = self.start()
        order = np.random.default_rng([self.seed, epoch]).permutation(self.size)
        return iter([(epoch, position) for position in order[done:].tolist()])
