"""The generators of the main process as plain values, which a checkpoint can hold without pickling code."""

import random
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor


class RandomState(TypedDict):
    """The states of torch's, every GPU's, Python's and NumPy's generators, as tensors and numbers."""

    torch: Tensor
    cuda: list[Tensor]
    python: list[Any]
    numpy: list[Any]


def random_state() -> RandomState:
    """The state of every generator."""
    version, words, gauss = random.getstate()
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        # 625 numbers: as a tensor they are written ten times as fast.
        "python": [version, torch.tensor(words), gauss],
        # Not as NumPy gives it, because an array would not be read with `weights_only=True`.
        "numpy": [name, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest],
    }


def set_random_state(state: RandomState) -> None:
    """Set every generator to what `random_state` said; GPUs that are not here are passed over."""
    torch.set_rng_state(state["torch"].cpu())
    for index, gpu in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(gpu.cpu(), index)
    version, words, gauss = state["python"]
    random.setstate((version, tuple(torch.as_tensor(words).tolist()), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), *rest))
