"""The LightningDataModule."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Protocol

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from graft.backbones.inputs import Input
from graft.backbones.preprocessings import AnyPreprocessing
from graft.data.domains import Paired, WithoutLabels
from graft.data.facts import DataFacts, data_facts
from graft.data.image_cache import AUTO_BYTES, keep
from graft.data.image_transform import ImageTransform
from graft.data.kept_samples import keep_samples
from graft.data.loading import Batch, Kept, PlainTransform, TransformedSamples, make_loader
from graft.data.sample_data import SampleData
from graft.data.sharing import WHOLE, EpochBatches, Share, even_batches
from graft.data.splits import Splits
from graft.data.transforms import PerImage, Transform, evaluation_transform
from graft.data.workers import default_workers


class BatchCache(Protocol):
    """A cache that knows some batches without their images."""

    def in_place_of(
        self, loader: DataLoader[Batch], images: Callable[[], DataLoader[Batch]], split: str
    ) -> Iterable[Any]:
        """A replacement for a loader of `split`, in its order; `images` makes a loader for many epochs."""

    def in_test(self, split: str) -> Iterable[Any]:
        """`split` in order, for the model that training has led to."""


class SampleDataModule(pl.LightningDataModule):
    """Split samples as batches: `input`, of images (B, 3, H, W) float32, `target` and `index` (B,) int64.

    An `index` counts in `data.samples`, whichever split the sample is in. The order of training samples and
    their augmentation depend on seed, epoch and sample alone: any number of workers gives the same batches,
    and a resumed run goes on where the first one stopped, within an epoch too. Where several processes train
    together, each has its share of every batch that one process would have; testing is for one alone.

    Args:
        data: the samples.
        splits: which of them train, validate and test.
        preprocessing: what the backbone wants.
        augment: from `preprocessing` to the transform of training samples.
        batch_size: B, over all processes.
        num_workers: processes that load; None: chosen by the number of cores.
        seed: of the order and the augmentation.
        cache_images: where decoded images, or what else a transform's first step gives, are kept: `auto`,
            `ram`, `disk` or `off` (see `image_cache.keep`).
            All but `off` keep what training and validation read each epoch, `disk` the test images too. With
            `ram` and `disk`, random resized crops are cut from images that were made smaller.

    Attributes:
        cache: takes the place of the loaders that train and validate; None: they give images.
        steps: batches of an epoch; None: as many as the training samples make.
        beside: unlabelled samples of another domain, which validate in a loader of their own.
        paired: whether they train too: in a training batch theirs stand under `unlabelled`.
    """

    cache: BatchCache | None = None
    steps: int | None = None
    beside: "SampleDataModule | None" = None
    paired: bool = False

    def __init__(
        self,
        data: SampleData,
        splits: Splits,
        preprocessing: AnyPreprocessing,
        augment: Callable[[Any], Transform | PlainTransform],
        *,
        batch_size: int,
        num_workers: int | None = None,
        seed: int = 0,
        cache_images: str = "auto",
    ) -> None:
        super().__init__()
        self.data = data
        self.splits = splits
        self.evaluation = evaluation_transform(preprocessing)
        self.training = augment(preprocessing)
        if cache_images in ("ram", "disk") and isinstance(self.training, ImageTransform):
            self.training = replace(self.training, shrinks=self.training.crop_scale is not None)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.cache_images = cache_images
        self._kept: dict[tuple[str, str], Kept | None] = {}
        self._resumed = (0, 0)

    @cached_property
    def facts(self) -> DataFacts:
        """What the data tells the model."""
        return data_facts(self.data, self.splits)

    @property
    def evaluation_size(self) -> int:
        """Images of a full batch in order: B, or all there are, in any split.

        Of all, so that stored features of an image are computed alike whichever run it was tested in.
        """
        return min(self.batch_size, len(self.data.samples))

    def setup(self, stage: str) -> None:
        """Let the samples of the other domain follow the same trainer."""
        if self.beside is not None:
            self.beside.trainer = self.trainer

    def train_dataloader(self) -> Iterable[Any]:
        """Shuffled and augmented, in batches of even sizes. Without a trainer, epoch 0."""
        batches = self._training_batches(again=False)
        if self.beside is not None and self.paired:
            return Paired(batches, self.beside.train_dataloader())
        return batches if self.data.labelled else WithoutLabels(batches)

    @cached_property
    def same_epoch(self) -> Iterable[Any]:
        """The batches of the epoch that trains, from its first one on, to be read beside training."""
        return self._training_batches(again=True)

    def _training_batches(self, *, again: bool) -> Iterable[Any]:
        images = partial(self._training_loader, every_epoch=True, again=again)
        if self.cache is None:
            return images()
        loader = self._training_loader(every_epoch=False, again=again)
        return self.cache.in_place_of(loader, images, "train")

    def first_inputs(self, most: int) -> Input:
        """The first `most` inputs to train on, or one batch of them, whatever takes their place later."""
        loader = self._training_loader(every_epoch=False)
        assert isinstance(loader.dataset, TransformedSamples)
        assert loader.batch_sampler is not None
        return loader.dataset.__getitems__(next(iter(loader.batch_sampler))[:most])["input"]

    def val_dataloader(self) -> Any:
        """In order, a loader for each domain; an empty list, which Lightning takes as no validation."""
        if not len(self.splits["val"]):
            own: list[Iterable[Any]] = []
        else:
            images = partial(self.ordered_loader, "val", self._share, every_epoch=True)
            in_order = self.ordered_loader("val", self._share)
            own = [images() if self.cache is None else self.cache.in_place_of(in_order, images, "val")]
        if not self.data.labelled:
            own = [WithoutLabels(loader) for loader in own]
        if self.beside is not None:
            return [*own, *self.beside.val_dataloader()]
        return own[0] if own and self.data.labelled else own

    def test_dataloader(self) -> DataLoader[Batch]:
        """In order."""
        return self.ordered_loader("test")

    def ordered_loader(
        self, split: str, share: Share = WHOLE, *, every_epoch: bool = False
    ) -> DataLoader[Batch]:
        """Any split, train too, in order and as in evaluation; or a process's share of it."""
        items = self._items(split, self.evaluation, every_epoch=every_epoch)
        shared = even_batches(len(items), self.batch_size, share) if share.size > 1 else None
        return self._loader(items, self.evaluation_size, shared)

    def training_in_order(self) -> Iterable[Any]:
        """This process's share of what trains, in order and as in evaluation."""
        return self.ordered_loader("train", self._share, every_epoch=True)

    def _training_loader(self, *, every_epoch: bool, again: bool = False) -> DataLoader[Batch]:
        items = self._items("train", self.training, self.seed, every_epoch=every_epoch)
        start = (lambda: (self._order()[0], 0)) if again else self._order
        batches = EpochBatches(len(items), self.batch_size, self.seed, start, self._share, self.steps)
        return self._loader(items, self.batch_size, batches)

    def _loader(
        self, items: TransformedSamples, batch_size: int, batches: EpochBatches | Sequence[list[int]] | None
    ) -> DataLoader[Batch]:
        return make_loader(items, batch_size=batch_size, num_workers=self._workers, batches=batches)

    @property
    def _workers(self) -> int:
        if self.num_workers is not None:
            return self.num_workers
        return default_workers(1 if self.trainer is None else self.trainer.num_devices)

    @property
    def _share(self) -> Share:
        """Which of the processes that train together this one is."""
        return WHOLE if self.trainer is None else Share(self.trainer.global_rank, self.trainer.world_size)

    def _items(
        self, split: str, transform: Transform | PlainTransform, seed: int | None = None, *, every_epoch: bool
    ) -> TransformedSamples:
        """A split's samples, kept if they are read again, and the same ones for all that begin alike."""
        items = TransformedSamples(self.data.samples, self.splits[split], transform, seed)
        what = (split, items.transform.form)
        if what not in self._kept and (every_epoch or self.cache_images == "disk"):
            room = AUTO_BYTES - sum(kept.nbytes for kept in self._kept.values() if kept)
            if isinstance(items.transform, ImageTransform | PerImage):
                self._kept[what] = keep(items, self.cache_images, self._workers, room)
            else:
                self._kept[what] = keep_samples(items, self.cache_images, room)
        items.kept = self._kept.get(what)
        return items

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
        if self.beside is not None:
            self.beside.load_state_dict(state_dict)

    def teardown(self, stage: str) -> None:
        """Forget where a resumed run began, so that the next fit begins at the beginning."""
        self._resumed = (0, 0)
        self.__dict__.pop("same_epoch", None)
        if self.beside is not None:
            self.beside.teardown(stage)

    @property
    def epoch(self) -> int:
        """The epoch that goes on, or begins now."""
        return self._start()[0]

    def _start(self) -> tuple[int, int]:
        """The epoch that begins now, and how many of its batches are already done.

        Lightning starts the workers of a resumed run before it has brought its own epoch up to date
        (https://github.com/Lightning-AI/pytorch-lightning/issues/21938), so the checkpoint's word counts.
        """
        epoch = self.trainer.current_epoch if self.trainer is not None else 0
        return (epoch, 0) if epoch > self._resumed[0] else self._resumed

    def _order(self) -> tuple[int, int]:
        """As `_start`; with `trainer.overfit_batches` every epoch has the images of the first."""
        epoch, done = self._start()
        return 0 if self.trainer is not None and self.trainer.overfit_batches else epoch, done  # type: ignore[attr-defined]
