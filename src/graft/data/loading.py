"""Samples as batches."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypedDict, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from graft.backbones.inputs import Input, changed
from graft.data.samples import Indices, SampleError, Samples
from graft.data.sharing import EpochBatches
from graft.data.transforms import PerImage, Transform
from graft.data.workers import ImageLoader, outlive_sigterm, worker_count
from graft.errors import GraftError

# Of images, a user's own.
PlainTransform = Callable[[Image.Image], Tensor]
# Which sample: `(epoch, position)`, or the position alone, which is epoch 0.
Key = int | tuple[int, int]
Batched = TypeVar("Batched")


class Batch(TypedDict):
    """B samples: what the backbone takes, of images `(B, 3, H, W)` float32; `(B,)` int64 and `(B,)` int64."""

    input: Input
    target: Tensor
    index: Tensor


class Kept(Protocol):
    """Prepared samples, by position.

    Attributes:
        nbytes: that they take.
    """

    @property
    def nbytes(self) -> int:
        """As above."""

    def __getitem__(self, position: int) -> Any:
        """What the transform's first step gave."""


class TransformedSamples(Dataset[Batch]):
    """Some of a list's samples, transformed; a DataLoader asks for whole batches.

    Args:
        samples: the list.
        indices: `(N,)` which of them; an item's `index` is one of these.
        transform: from samples to inputs; a function of one PIL image, to `(3, H, W)`, is one too.
        seed: of the transform's randomness, which depends on nothing but this, the epoch and the index;
            None: the transform draws nothing.

    Attributes:
        kept: what the transform's first step gives for each of `indices`, where that is kept.
    """

    def __init__(
        self,
        samples: Samples,
        indices: Indices,
        transform: Transform | PlainTransform,
        seed: int | None = None,
    ) -> None:
        self.samples = samples
        self.indices = indices
        self.transform = as_transform(transform)
        self.seed = seed
        self.kept: Kept | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: Key) -> Batch:
        """One item of a batch: `input`, of an image `(3, H, W)`, `target` and `index`; as `__getitems__`."""
        batch = self.__getitems__([key])
        first = changed(batch["input"], lambda tensor: tensor[0])
        return {"input": first, "target": batch["target"][0], "index": batch["index"][0]}

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        """A batch.

        Raises:
            SampleError: a sample cannot be read; also when a worker process reads it.
        """
        epochs, positions = np.array([key if isinstance(key, tuple) else (0, key) for key in keys]).T
        indices = self.indices[positions]
        prepared = [self.prepared(position) for position in positions.tolist()]
        return {
            "input": self.transform.finish(prepared, self.seed, epochs, indices),
            "target": torch.from_numpy(self.samples.labels[indices]),
            "index": torch.from_numpy(indices),
        }

    def prepared(self, position: int) -> Any:
        """What the transform's first step gives for a sample; for an image `(H, W, 3)` uint8.

        Raises:
            SampleError: the sample cannot be read.
        """
        if self.kept is not None:
            return self.kept[position]
        try:
            sample = self.samples.read(int(self.indices[position]), self.transform.at_least)
        except GraftError as error:
            # Only a SampleError comes out of a worker process as one line.
            raise SampleError(str(error)) from error
        return self.transform.prepare(sample)


def as_transform(transform: Any) -> Transform:
    """A transform in two steps, of one that may be a function of one PIL image."""
    if hasattr(transform, "prepare") and hasattr(transform, "finish"):
        two_steps: Transform = transform
        return two_steps
    return PerImage(transform)


def make_loader(
    items: TransformedSamples,
    *,
    batch_size: int,
    num_workers: int | None = None,
    batches: EpochBatches | Sequence[list[int]] | None = None,
) -> DataLoader[Batch]:
    """Batches of `items`.

    Args:
        items: the images.
        batch_size: of all, in order; the last batch may be smaller.
        num_workers: processes that load, no more than there are batches; None: `default_workers`.
        batches: the keys of each batch, in the place of all in order.
    """
    workers = worker_count(num_workers, -(-len(items) // batch_size) if batches is None else len(batches))
    return ImageLoader(
        items,
        batch_size=batch_size if batches is None else 1,
        batch_sampler=batches,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        collate_fn=as_it_is,
        # Without one, every new iterator draws from torch's global stream and shifts what follows.
        generator=torch.Generator(),
        worker_init_fn=outlive_sigterm,
    )


def as_it_is(batch: Batched) -> Batched:
    """The batch itself, because the dataset gives whole batches."""
    return batch
