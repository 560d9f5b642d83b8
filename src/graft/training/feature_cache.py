"""The feature cache of a run: which epochs read stored boundary tensors instead of images."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from graft.data import ImageDataModule
from graft.data.image_data import Indices
from graft.errors import GraftError
from graft.features import BoundaryLoader, FeatureStore, ImageFeatures
from graft.features.extraction import evaluating
from graft.features.fast import FastPrefix
from graft.features.folder import cache_folder, sized
from graft.features.keys import same_transform
from graft.features.loading import Boundary
from graft.freezing.apply import phases
from graft.freezing.prefix import frozen_prefix
from graft.runs.log import say
from graft.training.assembly import backbone_name
from graft.training.exactness import reasons_against
from graft.training.interruption import is_pending, raise_pending
from graft.training.module import TransferModule

# Bytes of a value by Lightning's word for the precision; others have 4.
WIDTHS = {"64-true": 8, "64": 8, "bf16-true": 2, "16-true": 2, "fast": 2}


class Decision(NamedTuple):
    """Whether stored tensors are read.

    Attributes:
        cache: what gives them; None: every epoch reads images.
        line: what to say about it; empty where nothing is frozen, so that nothing could be stored.
    """

    cache: "FeatureCache | None"
    line: str


def decide(
    config: Mapping[str, Any],
    loading: ImageDataModule,
    module: TransferModule,
    strategy: Any,
    trainer: pl.Trainer,
    processes: int,
) -> Decision:
    """Whether the run reads stored boundary tensors, before anything is computed.

    Args:
        config: the resolved configuration.
        loading: the images.
        module: what trains.
        strategy: says what is frozen.
        trainer: says on which device and at which precision.
        processes: how many train together.

    Raises:
        GraftError: they were asked for, by `cache.features=on` or `cache.views`, and cannot be had.
    """
    views = config["cache"]["views"]
    features = {True: "on", False: "off"}.get(config["cache"]["features"], config["cache"]["features"])
    wanted = "cache.features=on" if features == "on" else f"cache.views={views}" if views else None
    stages = module.backbone.stages
    if features == "off" or not (wanted or frozen_prefix(strategy, stages, [0])):
        return Decision(None, "")
    callbacks: Any = trainer.callbacks  # type: ignore[attr-defined]
    if reasons := reasons_against(config, module, loading, strategy, callbacks, processes):
        if wanted:
            raise GraftError(f"{wanted} is not possible: {'; '.join(reasons)}")
        return Decision(None, f"cache: not used: {'; '.join(reasons)}")
    if views and same_transform(loading.training, loading.evaluation):
        raise GraftError(f"{wanted} does nothing: this augmentation draws nothing, so all views are alike")
    cache = FeatureCache(config, module, loading, strategy, trainer, wanted)
    epochs = max(1, trainer.max_epochs or 1)
    starts = phases(strategy, stages, epochs)
    lines, why = [], ""
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], epochs], strict=True)):
        stop = frozen_prefix(strategy, stages, starts[: number + 1])
        # What is read in a single epoch is worth storing for later runs alone.
        if not stop or (start > 0 and end - start < 2 and not wanted):
            continue
        lacking, size = cache.lacking(stop, end - start)
        if why := cache.store.room_for(lacking * size) or "":
            if wanted and start == 0:
                raise GraftError(f"{wanted} is not possible: {why}")
            continue
        cache.sizes[stop] = size
        to_do = f"{lacking:,} images to compute, {sized(lacking * size)}" if lacking else "all stored already"
        name = module.backbone.stage_names[stop - 1]
        lines.append(f"epochs {start + 1}-{end} train on what {name} gives ({to_do})")
    if not lines:
        return Decision(None, f"cache: not used: {why}")
    kept = f", {views} augmented views of each image" if views else ""
    if cache.fast:
        kept += ", in bfloat16, validation too; the test runs the whole network at trainer.precision"
    return Decision(cache, f"cache: {'; '.join(lines)}{kept}, in {cache.store.path}")


class FeatureCache:
    """Takes the place of a run's loaders in the epochs whose boundary tensors are stored.

    Args:
        config: the resolved configuration.
        module: whose backbone computes the tensors, with the weights that it has now.
        loading: the images.
        strategy: says what is frozen.
        trainer: says on which device and at which precision.
        wanted: the word that asked for the cache, so that failing is an error; None: it is a line.

    Attributes:
        store: where the tensors are.
        sizes: bytes an image of the boundaries that are read, by the number of stages below.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        module: TransferModule,
        loading: ImageDataModule,
        strategy: Any,
        trainer: pl.Trainer,
        wanted: str | None,
    ) -> None:
        self.module = module
        self.loading = loading
        self.strategy = strategy
        self.trainer = trainer
        self.wanted = wanted
        self.views: int | None = config["cache"]["views"]
        self.fast: bool = config["cache"]["precision"] == "fast"
        self.precision = "fast" if self.fast else str(config["trainer"]["precision"])
        self.store = FeatureStore(
            cache_folder(config["cache"]["dir"]) / "features", config["cache"]["max_bytes"]
        )
        self.sizes: dict[int, int] = {}
        how = {
            "device": trainer.strategy.root_device.type,
            "precision": self.precision,
            "channels_last": self.fast or module.channels_last,
        }
        self.plain = ImageFeatures(
            self.store,
            module.backbone,
            loading.data.images,
            loading.evaluation,
            self._run,
            how,
            label=backbone_name(config),
            batch_size=loading.batch_size,
            num_workers=loading.num_workers,
            check=lambda: raise_pending(is_pending()),
        )
        self.drawn = replace(self.plain, transform=loading.training, seed=loading.seed)
        self._read: dict[tuple[int, int | None], Boundary] = {}
        self._fast: dict[int, FastPrefix] = {}

    def in_place_of(self, loader: DataLoader[Any], split: str) -> Iterable[Any]:
        """The loader's batches, with boundary tensors instead of images where they are stored."""
        return BoundaryLoader(loader, lambda: self.now(split))

    def lacking(self, stop: int, epochs: int) -> tuple[int, int]:
        """How many images have no tensor yet, and the bytes of one (0 where none lacks).

        Args:
            stop: the number of stages below the boundary.
            epochs: how many read it.
        """
        count = self.plain.lacking(stop, self._indices(None))
        for view in range(min(self.views or 0, epochs)):
            count += self.drawn.lacking(stop, self._indices(view), view)
        return count, self._probed[stop - 1] * WIDTHS.get(self.precision, 4) if count else 0

    @cached_property
    def _probed(self) -> list[int]:
        """How many values of one image leave each stage."""
        backbone = self.module.backbone
        values, counts = self.loading.evaluation(self.loading.data.images[0])[None], []
        with torch.no_grad(), evaluating(backbone):
            for index in range(len(backbone)):
                values = backbone(values, start=index, stop=index + 1)
                counts.append(values.numel())
        return counts

    def _indices(self, view: int | None) -> Indices:
        """The images whose tensors are asked for together."""
        train, val = self.loading.splits["train"], self.loading.splits["val"]
        if self.views is None:
            return np.concatenate([train, val])
        return val if view is None else train

    def now(self, split: str) -> Boundary | None:
        """What the epoch that begins reads; None where it reads images."""
        epoch = self.loading.epoch
        starts = [start for start in self.module.phases if start <= epoch]
        stop = frozen_prefix(self.strategy, self.module.backbone.stages, starts)
        # One boundary and one view of it are held at a time.
        view = epoch % self.views if self.views else None
        self._read = {at: read for at, read in self._read.items() if at in ((stop, None), (stop, view))}
        if stop not in self.sizes:
            return None
        try:
            # Both splits' at once, so that validation does not stop to compute.
            plain, drawn = self._boundary(stop, None), self._boundary(stop, view)
        except OSError as error:
            why = f"{self.store.path} cannot be used ({error.strerror or error})"
            if self.wanted:
                raise GraftError(f"{self.wanted} is not possible: {why}") from error
            say(f"cache: not used any more: {why}")
            del self.sizes[stop]
            return None
        return drawn if split == "train" else plain

    def _boundary(self, stop: int, view: int | None) -> Boundary:
        if (stop, view) not in self._read:
            indices = self._indices(view)
            features = self.plain if view is None else self.drawn
            stored = features.get(stop, indices, view, self.sizes[stop])
            rows = np.full(len(self.loading.data.images), -1, np.int64)
            rows[indices] = np.arange(len(indices))
            self._read[stop, view] = Boundary(stored, rows, stop, torch.float32 if self.fast else None)
        return self._read[stop, view]

    def _run(self, images: Tensor, stop: int) -> Tensor:
        """The first stages as training would run them."""
        module, precision = self.module, self.trainer.precision_plugin
        if self.fast:
            if stop not in self._fast:
                self._fast = {stop: FastPrefix(list(module.backbone.stages.values())[:stop])}
            return self._fast[stop](images.to(module.device))
        images = precision.convert_input(images.to(module.device))
        if module.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        with precision.forward_context():
            tensors: Tensor = module.backbone(images, stop=stop)
        return tensors
