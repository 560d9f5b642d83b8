"""The feature cache of a run: which epochs read stored boundary tensors instead of images."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from graft.backbones.inputs import Input, moved
from graft.backbones.making import backbone_name
from graft.configuration.run_config import RunConfig
from graft.data import SampleDataModule
from graft.data.cache_location import cache_folder
from graft.data.samples import Indices
from graft.errors import GraftError
from graft.features.extraction import evaluating
from graft.features.fast import FastPrefix
from graft.features.loading import Boundary, BoundaryLoader
from graft.features.sample_features import SampleFeatures
from graft.features.store import FeatureStore
from graft.models.head import fit_standardization, standardizes
from graft.processes.interruption import is_pending, raise_pending
from graft.runs.log import say
from graft.training.assembly import Parts

# Bytes of a value by Lightning's word for the precision; others have 4.
WIDTHS = {"64-true": 8, "64": 8, "bf16-true": 2, "16-true": 2, "fast": 2}


class Probed(NamedTuple):
    """What a backbone in evaluation mode does with an image.

    Attributes:
        values: how many leave each stage.
        draws: whether any stage draws at random.
    """

    values: list[int]
    draws: bool


class FeatureCache:
    """Takes the place of a run's loaders in the epochs whose boundary tensors are stored.

    The module's backbone computes them, with the weights that it has now, on the trainer's device and at its
    precision. If the cache fails, that is an error where the word `wanted` asked for it, else a line. With
    `beside` it is that of the other domain's loaders.

    Attributes:
        store: where the tensors are.
        sizes: bytes an image of the boundaries that are read, by the number of stages below.
    """

    def __init__(
        self,
        config: RunConfig,
        parts: Parts,
        trainer: pl.Trainer,
        wanted: str | None,
        beside: SampleDataModule | None = None,
    ) -> None:
        loading, module = beside or parts.loading, parts.module
        self.plan = parts.plan
        self.loading = loading
        self.module = module
        # A head is standardised by the samples that it learns from.
        self.standardizes = beside is None
        self.trainer = trainer
        self.wanted = wanted
        self.views = config.cache.views
        self.fast = config.cache.precision == "fast"
        self.precision = "fast" if self.fast else str(config.trainer["precision"])
        self.store = FeatureStore(cache_folder(config.cache.dir) / "features", config.cache.max_bytes)
        self.sizes: dict[int, int] = {}
        how = {
            "device": trainer.strategy.root_device.type,
            "precision": self.precision,
            "channels_last": self.fast or module.channels_last,
        }
        self.plain = SampleFeatures(
            self.store,
            module.backbone,
            loading.data.samples,
            loading.evaluation,
            self._run,
            how,
            label=backbone_name(config.backbone),
            batch_size=loading.batch_size,
            num_workers=loading.num_workers,
            check=lambda: raise_pending(is_pending()),
        )
        self.drawn = replace(self.plain, transform=loading.training, seed=loading.seed)
        self._read: dict[tuple[int, int | None], Boundary] = {}
        self._fast: dict[int, FastPrefix] = {}

    def in_place_of(
        self, loader: DataLoader[Any], images: Callable[[], DataLoader[Any]], split: str
    ) -> Iterable[Any]:
        """The loader's batches, with boundary tensors instead of images where they are stored."""
        return BoundaryLoader(loader, images, lambda: self.now(split))

    def in_test(self, split: str) -> Iterable[Any]:
        """A split in order, for the model that training has led to: tensors where they still are its own."""
        images = partial(self.loading.ordered_loader, split)
        return BoundaryLoader(images(), images, lambda: self._of_trained(split))

    def _of_trained(self, split: str) -> Boundary | None:
        """What never trained makes of a split's images; None where that is not what the cache holds.

        The keys are those of the weights as they are now, so that no change of them can go unnoticed.
        """
        indices, stop = self.loading.splits[split], self.plan.prefix()
        features = replace(self.plain)
        if self.fast or stop not in self.sizes or features.keys[stop - 1] != self.plain.keys[stop - 1]:
            return None
        count = features.lacking(stop, indices)
        size = self._size(stop) if count else 0
        try:
            # The room that was made at the beginning may be full by now.
            if count and self.store.room_for(count * size):
                return None
            return Boundary(features.get(stop, indices, None, size), self._rows(indices), stop)
        except OSError as error:
            say(f"cache: not used any more: {self._unusable(error)}")
            return None

    def _unusable(self, error: OSError) -> str:
        return f"{self.store.path} cannot be used ({error.strerror or error})"

    def lacking(self, stop: int, epochs: int) -> tuple[int, int]:
        """How many images have no tensor yet, and the bytes of one (0 where none lacks).

        The boundary is above the first `stop` stages, and so many epochs read it.
        """
        count = self.plain.lacking(stop, self._indices(None))
        for view in range(min(self.views or 0, epochs)):
            count += self.drawn.lacking(stop, self._indices(view), view)
        return count, self._size(stop) if count else 0

    def _size(self, stop: int) -> int:
        """Bytes of one image's tensor."""
        return self.probed.values[stop - 1] * WIDTHS.get(self.precision, 4)

    def _rows(self, indices: Indices) -> Indices:
        """Where each of all images is among `indices`."""
        rows = np.full(len(self.loading.data.samples), -1, np.int64)
        rows[indices] = np.arange(len(indices))
        return rows

    @cached_property
    def probed(self) -> Probed:
        """What one image tells; asked only where something is to be computed."""
        backbone = self.module.backbone
        transform, sample = self.loading.evaluation, self.loading.data.samples[0]
        one = np.zeros(1, np.int64)
        given, values = transform.finish([transform.prepare(sample)], None, one, one), []
        state = torch.get_rng_state()
        with torch.no_grad(), evaluating(backbone):
            for index in range(len(backbone)):
                given = backbone(given, start=index, stop=index + 1)
                values.append(given.numel())
        draws = not torch.equal(state, torch.get_rng_state())
        torch.set_rng_state(state)
        return Probed(values, draws)

    def _indices(self, view: int | None) -> Indices:
        """The images whose tensors are asked for together."""
        train, val = self.loading.splits["train"], self.loading.splits["val"]
        if self.views is None:
            return np.concatenate([train, val])
        return val if view is None else train

    def now(self, split: str) -> Boundary | None:
        """What the epoch that begins reads; None where it reads images."""
        epoch = self.loading.epoch
        stop = self.plan.prefix(epoch)
        # One boundary and one view of it are held at a time.
        view = epoch % self.views if self.views else None
        self._read = {key: self._read[key] for key in self._read if key in ((stop, None), (stop, view))}
        if stop not in self.sizes:
            return None
        try:
            # Both splits' at once, so that validation does not stop to compute.
            plain, drawn = self._boundary(stop, None), self._boundary(stop, view)
        except OSError as error:
            if self.wanted:
                raise GraftError(f"{self.wanted} is not possible: {self._unusable(error)}") from error
            say(f"cache: not used any more: {self._unusable(error)}")
            del self.sizes[stop]
            return None
        return drawn if split == "train" else plain

    def features(self) -> tuple[Tensor, Tensor]:
        """What the whole backbone makes of the training and the validation images, `(N, D)` float32 each.

        Stored where the store has room, else computed for now.
        """
        stop, indices = len(self.module.backbone), self._indices(None)
        try:
            if stop in self.sizes:
                stored = self.plain.get(stop, indices, None, self.sizes[stop])
                tensors = stored.take(np.arange(len(indices)))
        except OSError as error:
            say(f"cache: not used any more: {self._unusable(error)}")
            del self.sizes[stop]
        if stop not in self.sizes:
            tensors = torch.cat(list(self.plain.compute(stop, indices)))
        tensors, count = tensors.float().cpu(), len(self.loading.splits["train"])
        return tensors[:count], tensors[count:]

    def _boundary(self, stop: int, view: int | None) -> Boundary:
        if (stop, view) not in self._read:
            indices = self._indices(view)
            features = self.plain if view is None else self.drawn
            stored = features.get(stop, indices, view, self.sizes[stop])
            head = self.module.head
            whole = stop == len(self.module.backbone)
            if self.standardizes and view is None and whole and standardizes(head):
                train = stored.take(np.arange(len(self.loading.splits["train"])))
                fit_standardization(head, train.float().to(self.module.device))
            self._read[stop, view] = Boundary(
                stored, self._rows(indices), stop, torch.float32 if self.fast else None
            )
        return self._read[stop, view]

    def _run(self, given: Input, stop: int) -> Tensor:
        """The first stages as training would run them."""
        module, precision = self.module, self.trainer.precision_plugin
        # Lightning moves the weights with the module that it tests, which is another one.
        device = next(module.backbone.parameters()).device
        if self.fast:
            if stop not in self._fast:
                self._fast = {stop: FastPrefix(list(module.backbone.stages.values())[:stop])}
            return self._fast[stop](moved(given, device))
        given = module.laid_out(precision.convert_input(moved(given, device)))
        with precision.forward_context():
            tensors: Tensor = module.backbone(given, stop=stop)
        return tensors
