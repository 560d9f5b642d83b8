"""Randomness that depends on the image and epoch alone, not on the worker, the order or earlier draws."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.random import mtrand
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: SplitMix64's step


def uniforms(
    seed: int, epochs: NDArray[np.int64], indices: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    """`count` numbers in [0, 1) for each image: a hash of seed, epoch and index, for a whole batch at once.

    A row is what SplitMix64 gives when begun at a hash of its three numbers (Steele, Lea and Flood 2014,
    "Fast splittable pseudorandom number generators", figure 13). To seed a generator for each image instead
    takes 40 µs an image.

    Args:
        seed: of the run, >= 0.
        epochs: `(B,)`.
        indices: `(B,)` which images.
        count: numbers an image.

    Returns:
        `(B, count)` float64.
    """
    state = np.full(len(indices), seed, np.uint64)
    for number in (np.zeros_like(indices), epochs, indices):
        state = _mixed(state + _GOLDEN + number.astype(np.uint64))
    steps = np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN
    # The upper 53 bits, which is what a float64 holds.
    drawn: NDArray[np.float64] = (_mixed(state[:, None] + steps) >> np.uint64(11)) * np.float64(2.0**-53)
    return drawn


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's mixing of 64 bits, in arrays, which wrap around without a warning."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


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
        # Another generator in its place: copying and restoring a Mersenne Twister's state takes 0.1 ms.
        mtrand.set_bit_generator(np.random.PCG64(sequence))
        random.seed(seed)
        yield
    finally:
        torch.set_rng_state(torch_state)
        mtrand.set_bit_generator(numpy_generator)
        random.setstate(python_state)
