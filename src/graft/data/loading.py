"""Images as batches."""

import signal
from collections.abc import Callable, Sequence
from typing import Any, TypedDict, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from graft.data.image_data import ImageSet, Indices
from graft.data.image_transform import ImageTransform, Pixels
from graft.data.images import ImageError
from graft.data.kept_images import KeptImages
from graft.data.randomness import EpochShuffle
from graft.data.sharing import WHOLE, Share, SharedBatches, even_batches
from graft.data.transforms import PerImage
from graft.errors import GraftError
from graft.runs.environment import cores

Transform = Callable[[Image.Image], Tensor]
# Which image: `(epoch, position)`, or the position alone, which is epoch 0.
Key = int | tuple[int, int]
Batched = TypeVar("Batched")


class Batch(TypedDict):
    """B images: `(B, 3, H, W)` float32, `(B,)` int64 and `(B,)` int64."""

    image: Tensor
    label: Tensor
    index: Tensor


class TransformedImages(Dataset[Any]):
    """Some of a list's images, transformed; a DataLoader asks for whole batches.

    Args:
        images: the list.
        indices: `(N,)` which of them; an item's `index` is one of these.
        transform: PIL RGB to `(3, H, W)`.
        seed: of the transform's randomness, which depends on nothing but this, the epoch and the index;
            None: the transform draws nothing.

    Attributes:
        kept: what the transform's first step gives for each of `indices`, where that is kept.
    """

    def __init__(
        self, images: ImageSet, indices: Indices, transform: Transform, seed: int | None = None
    ) -> None:
        self.images = images
        self.indices = indices
        self.transform = transform if isinstance(transform, ImageTransform) else PerImage(transform)
        self.seed = seed
        self.kept: KeptImages | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        """One item of a batch: `image` `(3, H, W)`, `label` and `index`; as `__getitems__`."""
        batch = self.__getitems__([key])
        return {"image": batch["image"][0], "label": batch["label"][0], "index": batch["index"][0]}

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        """A batch.

        Raises:
            ImageError: an image cannot be read; also when a worker process reads it.
        """
        epochs, positions = np.array([key if isinstance(key, tuple) else (0, key) for key in keys]).T
        indices = self.indices[positions]
        prepared = [self.prepared(position) for position in positions.tolist()]
        return {
            "image": self.transform.finish(prepared, self.seed, epochs, indices),
            "label": torch.from_numpy(self.images.labels[indices]),
            "index": torch.from_numpy(indices),
        }

    def prepared(self, position: int) -> Pixels:
        """What the transform's first step gives for an image: `(H, W, 3)` uint8.

        Raises:
            ImageError: the image cannot be read.
        """
        if self.kept is not None:
            return self.kept[position]
        try:
            image = self.images.read(int(self.indices[position]), self.transform.at_least)
        except GraftError as error:
            # ImageError alone survives the way out of a worker process as one line.
            raise ImageError(str(error)) from error
        return self.transform.prepare(image)


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
        collate_fn=as_it_is,
        # Without one, every new iterator draws from torch's global stream and shifts what follows.
        generator=torch.Generator(),
        worker_init_fn=outlive_sigterm,
    )


def as_it_is(batch: Batched) -> Batched:
    """What a dataset gives as a batch already."""
    return batch


def outlive_sigterm(worker: int) -> None:
    """Let SIGTERM end a process that loads half a minute later, if it is there for so long.

    SLURM and others send it to all processes of a run at once, of which the main one wants to end its step.
    """
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(30))


def default_workers(processes: int = 1) -> int:
    """Loading processes that pay: none on 2 cores or fewer, where they only get in the way.

    Args:
        processes: how many train on this machine, and share its cores.
    """
    return 0 if (own := cores() // processes) <= 2 else min(8, own - 1)
