"""Images as batches."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypedDict

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from graft.data.image_data import ImageSet, Indices
from graft.data.images import ImageError
from graft.data.randomness import EpochShuffle, random_stream
from graft.data.sharing import WHOLE, Share, SharedBatches, even_batches
from graft.errors import GraftError

Transform = Callable[[Image.Image], Tensor]


class Item(TypedDict):
    """One image; a batch has the same keys, with `(B, 3, H, W)`, `(B,)` int64 and `(B,)` int64."""

    image: Tensor
    label: int
    index: int


class TransformedImages(Dataset[Item]):
    """Some of a list's images, transformed.

    Args:
        images: the list.
        indices: `(N,)` which of them; an item's `index` is one of these.
        transform: PIL RGB to `(3, H, W)`.
        seed: of the transform's randomness, which depends on nothing but this, the epoch and the index;
            None: the transform draws nothing.
    """

    def __init__(
        self, images: ImageSet, indices: Indices, transform: Transform, seed: int | None = None
    ) -> None:
        self.images = images
        self.indices = indices
        self.transform = transform
        self.seed = seed

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: int | tuple[int, int]) -> Item:
        """An item by `(epoch, position)`, or by position alone, which is epoch 0.

        Raises:
            ImageError: the image cannot be read; also when a worker process reads it.
        """
        epoch, position = key if isinstance(key, tuple) else (0, key)
        index = int(self.indices[position])
        try:
            image = self.images[index]
        except GraftError as error:
            # ImageError alone survives the way out of a worker process as one line.
            raise ImageError(str(error)) from error
        stream = nullcontext() if self.seed is None else random_stream(self.seed, epoch, index)
        with stream:
            return {"image": self.transform(image), "label": int(self.images.labels[index]), "index": index}


def make_loader(
    items: TransformedImages,
    *,
    batch_size: int,
    num_workers: int | None = None,
    shuffle: EpochShuffle | None = None,
    share: Share = WHOLE,
) -> DataLoader[Any]:
    """Batches of `items`: all, in order, or shuffled to train on.

    Args:
        items: the images.
        batch_size: B, over all processes.
        num_workers: processes that load; None: none on 2 cores or fewer, else one a core but one, at most 8.
        shuffle: the order of an epoch. A last batch is then left out, unless it is the only one, in which a
            process would have a single image: BatchNorm cannot train on one image.
        share: which of several processes this is; it gets its own images of each batch.
    """
    workers = default_workers() if num_workers is None else num_workers
    short = shuffle is not None and len(items) > batch_size and 0 < len(items) % batch_size < 2 * share.size
    batches: dict[str, Any] = {"batch_size": batch_size, "sampler": shuffle, "drop_last": short}
    if share.size > 1:
        own = (
            SharedBatches(shuffle, batch_size, short, share)
            if shuffle
            else even_batches(len(items), batch_size, share)
        )
        batches = {"batch_sampler": own}
    return DataLoader(
        items,
        **batches,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        # Without one, every new iterator draws from torch's global stream and shifts what follows.
        generator=torch.Generator(),
    )


def default_workers(processes: int = 1) -> int:
    """Loading processes that pay: none on 2 cores or fewer, where they only get in the way.

    Args:
        processes: how many train on this machine, and share its cores.
    """
    # The cores that this process may use, which in a container or under SLURM are not all there are.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if (own := cores // processes) <= 2 else min(8, own - 1)
