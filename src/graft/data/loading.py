"""Images as batches."""

from collections.abc import Callable, Sequence
from typing import TypedDict, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from graft.data.image_data import ImageSet, Indices
from graft.data.image_transform import ImageTransform, Pixels
from graft.data.images import ImageError
from graft.data.kept_images import KeptImages
from graft.data.sharing import EpochBatches
from graft.data.transforms import PerImage
from graft.data.workers import ImageLoader, outlive_sigterm, worker_count
from graft.errors import GraftError

Transform = Callable[[Image.Image], Tensor]
# Which image: `(epoch, position)`, or the position alone, which is epoch 0.
Key = int | tuple[int, int]
Batched = TypeVar("Batched")


class Batch(TypedDict):
    """B images: `(B, 3, H, W)` float32, `(B,)` int64 and `(B,)` int64."""

    image: Tensor
    label: Tensor
    index: Tensor


class TransformedImages(Dataset[Batch]):
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

    def __getitem__(self, key: Key) -> Batch:
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
            # Only an ImageError comes out of a worker process as one line.
            raise ImageError(str(error)) from error
        return self.transform.prepare(image)


def make_loader(
    items: TransformedImages,
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
