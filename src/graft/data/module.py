"""The LightningDataModule."""

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Protocol

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from graft.data.facts import DataFacts, data_facts
from graft.data.image_data import ImageData
from graft.data.loading import Transform, TransformedImages, default_workers, make_loader
from graft.data.randomness import EpochShuffle
from graft.data.sharing import WHOLE, Share
from graft.data.splits import Splits
from graft.data.transforms import Preprocessing, evaluation_transform


class BatchCache(Protocol):
    """What knows some batches without their images."""

    def in_place_of(self, loader: DataLoader[Any], split: str) -> Iterable[Any]:
        """What takes the place of a loader of `split`, in the same order."""


class ImageDataModule(pl.LightningDataModule):
    """Split images as batches: `image` (B, 3, H, W) float32, `label` (B,) int64, `index` (B,) int64.

    An `index` counts in `data.images`, whichever split the image is in. The order of training images and
    their augmentation depend on seed, epoch and image alone: any number of workers gives the same batches,
    and a resumed run goes on where the first one stopped, within an epoch too. Where several processes train
    together, each has its share of every batch that one process would have; testing is for one alone.

    Args:
        data: the images.
        splits: which of them train, validate and test.
        preprocessing: what the backbone wants.
        augment: from `preprocessing` to the transform of training images.
        batch_size: B, over all processes.
        num_workers: processes that load; None: chosen by the number of cores.
        seed: of the order and the augmentation.

    Attributes:
        cache: takes the place of the loaders that train and validate; None: they give images.
    """

    cache: BatchCache | None = None

    def __init__(
        self,
        data: ImageData,
        splits: Splits,
        preprocessing: Preprocessing,
        augment: Callable[[Preprocessing], Transform],
        *,
        batch_size: int,
        num_workers: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.data = data
        self.splits = splits
        self.evaluation = evaluation_transform(preprocessing)
        self.training = augment(preprocessing)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self._resumed = (0, 0)

    @cached_property
    def facts(self) -> DataFacts:
        """What the data tells the model."""
        return data_facts(self.data, self.splits)

    def train_dataloader(self) -> Iterable[Any]:
        """Shuffled and augmented; a last batch of one image is left out. Without a trainer, epoch 0."""
        indices = self.splits["train"]
        items = TransformedImages(self.data.images, indices, self.training, self.seed)
        shuffle = EpochShuffle(len(indices), self.seed, self._start)
        loader = self._loader(items, shuffle, self._share)
        return self.cache.in_place_of(loader, "train") if self.cache else loader

    def val_dataloader(self) -> Iterable[Any]:
        """In order; an empty list, which Lightning takes as no validation, if nothing validates."""
        if not len(self.splits["val"]):
            return []
        loader = self.ordered_loader("val", self._share)
        return self.cache.in_place_of(loader, "val") if self.cache else loader

    def test_dataloader(self) -> DataLoader[Any]:
        """In order."""
        return self.ordered_loader("test")

    def predict_dataloader(self) -> DataLoader[Any]:
        """The test images, in order."""
        return self.ordered_loader("test")

    def ordered_loader(self, split: str, share: Share = WHOLE) -> DataLoader[Any]:
        """Any split, train too, in order and as in evaluation; or a process's share of it."""
        items = TransformedImages(self.data.images, self.splits[split], self.evaluation)
        return self._loader(items, None, share)

    def _loader(
        self, items: TransformedImages, shuffle: EpochShuffle | None, share: Share
    ) -> DataLoader[Any]:
        workers = self.num_workers
        if workers is None:
            workers = default_workers(1 if self.trainer is None else self.trainer.num_devices)
        return make_loader(
            items, batch_size=self.batch_size, num_workers=workers, shuffle=shuffle, share=share
        )

    @property
    def _share(self) -> Share:
        """Which of the processes that train together this one is."""
        return WHOLE if self.trainer is None else Share(self.trainer.global_rank, self.trainer.world_size)

    def state_dict(self) -> dict[str, int]:
        """Where training stands: the epoch, and how many of its batches are done."""
        if self.trainer is None:
            return {"epoch": 0, "batches": 0}
        loop = self.trainer.fit_loop
        progress: Any = loop.epoch_loop.batch_progress.current
        begun, batches = loop.epoch_progress.current.ready, progress.processed
        if begun == 0:
            return {"epoch": 0, "batches": 0}
        # The checkpoint of an epoch's end is written while Lightning still counts that epoch as running.
        if batches >= self.trainer.num_training_batches:
            return {"epoch": begun, "batches": 0}
        return {"epoch": begun - 1, "batches": batches}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Continue from where `state_dict` says; called by Lightning before the loaders are made."""
        self._resumed = (state_dict["epoch"], state_dict["batches"])

    def teardown(self, stage: str) -> None:
        """Forget where a resumed run began, so that the next fit begins at the beginning."""
        self._resumed = (0, 0)

    @property
    def epoch(self) -> int:
        """The epoch that goes on, or begins now."""
        return self._start()[0]

    def _start(self) -> tuple[int, int]:
        """The epoch that begins now, and how many of its images are already done.

        Lightning starts the workers of a resumed run before it has brought its own epoch up to date
        (https://github.com/Lightning-AI/pytorch-lightning/issues/21938), so the checkpoint's word counts.
        """
        epoch = self.trainer.current_epoch if self.trainer is not None else 0
        if epoch > self._resumed[0]:
            return epoch, 0
        return self._resumed[0], self._resumed[1] * self.batch_size
