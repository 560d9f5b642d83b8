"""The LightningDataModule: a division of images as batches, the same for any number of workers."""

import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from graft.data.facts import DataFacts
from graft.data.image_data import ImageSet, Indices
from graft.data.splits import Division
from graft.data.transforms import Sizes, evaluation_transform

Augment = Callable[[Sizes], Callable[..., Tensor]]


class ImageDataModule(pl.LightningDataModule):
    """Train, validation and test batches: dicts of `image` `(B, 3, H, W)`, `label` `(B,)`, `index` `(B,)`.

    Args:
        division: the images and their splits; `index` counts in its data's images.
        preprocessing: of the backbone.
        augment: makes the training transform from `preprocessing`; None: the evaluation transform.
        batch_size: images a batch.
        num_workers: processes that decode; None: chosen from the number of cores.
        seed: of the training order and of the random changes to images.
        test_split: the split that is tested.
    """

    def __init__(
        self,
        division: Division,
        preprocessing: Sizes,
        *,
        augment: Augment | None = None,
        batch_size: int = 32,
        num_workers: int | None = None,
        seed: int = 0,
        test_split: str = "test",
    ) -> None:
        super().__init__()
        self.division = division
        self.images: ImageSet = division.data.images
        self.facts = DataFacts.of(division)
        self.batch_size = batch_size
        self.workers = worker_count(num_workers)
        self.seed = seed
        self.test_split = test_split
        self.evaluation = evaluation_transform(preprocessing)
        self.training = augment(preprocessing) if augment else self.evaluation

    @property
    def validated(self) -> bool:
        """Whether there are validation images."""
        return len(self.division.indices("val")) > 0

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled anew each epoch."""
        data = SplitImages(self.images, self.division.indices("train"), self.training, self.seed)
        # BatchNorm cannot train on a single image; which one is left out changes with the epoch.
        lonely = len(data) > self.batch_size and len(data) % self.batch_size == 1
        return self._loader(data, EpochOrder(len(data), self.seed, shuffle=True), drop_last=lonely)

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """In order; nothing where nothing validates."""
        return self._in_order("val") if self.validated else []

    def test_dataloader(self) -> DataLoader[Any]:
        """In order."""
        return self._in_order(self.test_split)

    def training_images(self, count: int) -> Tensor:
        """The first `count` images of the first epoch as the network sees them: `(N, 3, H, W)`."""
        data = SplitImages(self.images, self.division.indices("train"), self.training, self.seed)
        keys = list(EpochOrder(len(data), self.seed, shuffle=True))[:count]
        return torch.stack([data[key]["image"] for key in keys])

    def _in_order(self, split: str) -> DataLoader[Any]:
        data = SplitImages(self.images, self.division.indices(split), self.evaluation, self.seed)
        return self._loader(data, EpochOrder(len(data), self.seed, shuffle=False))

    def _loader(self, data: "SplitImages", order: "EpochOrder", drop_last: bool = False) -> DataLoader[Any]:
        return DataLoader(
            data,
            batch_size=self.batch_size,
            sampler=order,
            drop_last=drop_last,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
            # Its own stream, so that starting an epoch draws nothing from the global one.
            generator=torch.Generator().manual_seed(self.seed),
        )


class EpochOrder(Sampler[tuple[int, int]]):
    """Positions 0 to n - 1, each with the epoch: a pure function of seed and epoch.

    Lightning tells the epoch through `set_epoch`.
    """

    def __init__(self, size: int, seed: int, shuffle: bool) -> None:
        self.size = size
        self.seed = seed
        self.shuffle = shuffle
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = range(self.size)
        if self.shuffle:
            stream = torch.Generator().manual_seed(_mixed(self.seed, self.epoch, 0))
            order = torch.randperm(self.size, generator=stream).tolist()
        return iter([(self.epoch, position) for position in order])


class SplitImages(Dataset[dict[str, Any]]):
    """One split's images, transformed; keys are `(epoch, position)`.

    Random changes draw from a stream of their own for each epoch and image, so they are the same whichever
    worker process makes them, and the same when a run is repeated.
    """

    def __init__(
        self, images: ImageSet, indices: Indices, transform: Callable[..., Tensor], seed: int
    ) -> None:
        self.images = images
        self.indices = indices
        self.transform = transform
        self.seed = seed

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        epoch, position = key
        index = int(self.indices[position])
        image = self.images[index]
        before = random.getstate()
        with torch.random.fork_rng(devices=[]):
            seed = _mixed(self.seed, epoch, index + 1)
            torch.manual_seed(seed)
            random.seed(seed)
            tensor = self.transform(image)
        random.setstate(before)
        return {"image": tensor, "label": int(self.images.labels[index]), "index": index}


def worker_count(wanted: int | None) -> int:
    """`wanted`, or by the cores: none on one or two, where decoding beside training gains nothing."""
    if wanted is not None:
        return wanted
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if cores <= 2 else min(8, cores - 1)


def _mixed(seed: int, epoch: int, index: int) -> int:
    """Three numbers as one seed of 63 bits, neighbours far apart (splitmix64's finaliser on each)."""
    value = 0
    for number in (seed, epoch, index):
        value = (value ^ number) + 0x9E3779B97F4A7C15
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        value ^= value >> 31
    return value >> 1
