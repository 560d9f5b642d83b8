"""Batches of boundary tensors in the place of batches of images, in the same order."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from graft.data import Samples, TransformedSamples
from graft.data.loading import Batch, Key, PlainTransform
from graft.data.samples import Indices
from graft.data.transforms import Transform
from graft.features.store import Stored


class Boundary(NamedTuple):
    """Stored tensors, and what runs on them.

    Attributes:
        stored: the tensors of some images.
        rows: `(images,)` where in `stored` each image is, by its index.
        start: the first stage to run.
        dtype: what the tensors become when they are read; None: they stay as they are.
    """

    stored: Stored
    rows: Indices
    start: int
    dtype: torch.dtype | None = None


class BoundaryBatch(TypedDict):
    """B images: tensors `(B, …)`, `(B,)` int64 and `(B,)` int64, and the first stage to run."""

    boundary: Tensor
    target: Tensor
    index: Tensor
    start: int


class BoundaryLoader:
    """A DataLoader's batches with `boundary` (B, …) and `start` in the place of `input`.

    Args:
        loader: of images; its order is kept, its images are not read.
        images: makes a loader like it, whose batches are given where there is no boundary; called once, when
            they are first needed.
        now: called at each beginning: what there is, or None.
    """

    def __init__(
        self,
        loader: DataLoader[Batch],
        images: Callable[[], DataLoader[Batch]],
        now: Callable[[], Boundary | None],
    ) -> None:
        self.loader = loader
        self.images = cache(images)
        self.now = now

    @property
    def batch_size(self) -> int | None:
        """Of a full batch of images."""
        return self.loader.batch_size

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch | BoundaryBatch]:
        boundary = self.now()
        return iter(self.images()) if boundary is None else self._batches(boundary)

    def _batches(self, boundary: Boundary) -> Iterator[BoundaryBatch]:
        items = self.loader.dataset
        assert isinstance(items, TransformedSamples)
        assert self.loader.batch_sampler is not None
        for keys in self.loader.batch_sampler:
            positions = [key[1] if isinstance(key, tuple) else key for key in keys]
            index = items.indices[positions]
            tensors = boundary.stored.take(boundary.rows[index])
            yield {
                "boundary": tensors if boundary.dtype is None else tensors.to(boundary.dtype),
                "target": torch.from_numpy(items.samples.labels[index]),
                "index": torch.from_numpy(index),
                "start": boundary.start,
            }


class OneView(TransformedSamples):
    """Images as their augmentation draws them in one epoch, `view`."""

    def __init__(
        self,
        samples: Samples,
        indices: Indices,
        transform: Transform | PlainTransform,
        seed: int | None,
        view: int,
    ) -> None:
        super().__init__(samples, indices, transform, seed)
        self.view = view

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        return super().__getitems__([(self.view, key) if isinstance(key, int) else key for key in keys])
