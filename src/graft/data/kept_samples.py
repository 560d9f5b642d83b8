"""Samples that are no images, kept in memory as a transform's first step leaves them."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graft.data.loading import TransformedSamples
from graft.errors import GraftError


class KeptSamples:
    """Prepared samples, by position.

    Attributes:
        nbytes: that they take.
    """

    def __init__(self, prepared: Sequence[Any], nbytes: int) -> None:
        self._prepared = list(prepared)
        self.nbytes = nbytes

    def __len__(self) -> int:
        return len(self._prepared)

    def __getitem__(self, position: int) -> Any:
        return self._prepared[position]


def keep_samples(items: TransformedSamples, where: str, room: float) -> KeptSamples | None:
    """Prepare samples once and keep them; None: they are prepared each time.

    Args:
        items: which samples, and their transform.
        where: `auto` (if they take no more than `room`), `ram` or `off`.
        room: bytes.

    Raises:
        GraftError: a sample cannot be read, or `where` is `disk`, which is for images.
    """
    if where == "disk":
        raise GraftError("data.cache_images=disk: it keeps images; give auto, ram or off")
    if where == "off" or not len(items):
        return None
    prepared, nbytes = [], 0
    for position in range(len(items)):
        prepared.append(items.prepared(position))
        nbytes += _bytes_of(prepared[-1])
        if where == "auto" and nbytes > room:
            return None
    return KeptSamples(prepared, nbytes)


def _bytes_of(prepared: Any) -> int:
    if isinstance(prepared, np.ndarray):
        return prepared.nbytes
    if isinstance(prepared, Mapping):
        return sum(_bytes_of(value) for value in prepared.values())
    return sys.getsizeof(prepared)
