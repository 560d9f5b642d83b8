"""What a backbone, or its first stages, give for some images, from the cache as far as it has it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from graft.backbones import Backbone
from graft.backbones.inputs import Input, moved
from graft.data import SampleData, evaluation_transform
from graft.data.cache_location import cache_folder
from graft.data.samples import Indices
from graft.features.extraction import evaluating
from graft.features.fast import FastPrefix
from graft.features.sample_features import SampleFeatures
from graft.features.stage_outputs import check_pool, each_mean, mean_over_places, shape_after, stop_at
from graft.features.store import FeatureStore
from graft.processes.lightning import lone_device

# Bytes that are read from the cache at a time.
AT_ONCE = 1 << 26


class Taken(NamedTuple):
    """What is taken of a backbone.

    Attributes:
        stop: how many stages run.
        run: inputs on the device to tensors `(B, …)`.
        bytes: of one image's tensor, at most.
        how: what `run` depends on beside stages, device and precision.
        kept: whether the cache keeps it.
    """

    stop: int
    run: Callable[[Input], Tensor]
    bytes: int
    how: Mapping[str, object] = {}
    kept: bool = True


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """A backbone, images, and how the one is run over the others.

    Attributes:
        backbone: it is moved to the device.
        label: its name, for people to read.
        data: the images.
        indices: `(N,)` which of them.
        accelerator: the best device there is, or cpu, gpu.
        cache: its folder, `dir`, and the most that it may take, `max_bytes`.
        batch_size: B, images at a time.
        num_workers: processes that decode images.
        fast: in half precision, else float32.
    """

    backbone: Backbone
    label: str
    data: SampleData
    indices: Indices
    accelerator: str
    cache: Mapping[str, Any]
    batch_size: int
    num_workers: int | None
    fast: bool = False

    def whole(self) -> Iterator[Tensor]:
        """The features, in batches `(B, D)`.

        Raises:
            SampleError: an image cannot be read.
        """
        return self._batches(self._taken(len(self.backbone), "none"))

    def stage(self, stage: str | None, pool: str = "none") -> Iterator[Tensor]:
        """What a stage gives, in the order of the images, in batches `(B, …)`.

        Maps of an inner stage, which may be larger than the images, are read from the cache where it has them
        all, and not kept there.

        Args:
            stage: its name; None: the last one.
            pool: `none`, or `mean` over the places of maps or tokens, which gives `(B, C)` float32.

        Raises:
            GraftError: there is no such stage, or no such way to pool.
            SampleError: an image cannot be read.
        """
        check_pool(pool)
        return self._batches(self._taken(stop_at(self.backbone, stage, self.label), pool))

    def each_stage(self) -> dict[str, Tensor]:
        """By stage, the mean over the places of what it gives, `(N, C)`; one pass computes them all.

        The last one's are the features `(N, D)`; they are kept as those of `whole` too.

        Raises:
            GraftError: the stages cannot run apart.
            SampleError: an image cannot be read.
        """
        names, stages = self.backbone.stage_names, list(self.backbone.stages.values())
        stop_at(self.backbone, names[0], self.label)
        with evaluating(self.backbone), torch.no_grad():
            widths = [means.shape[1] for means in each_mean(stages, self._blank())]
        taken = Taken(
            len(stages),
            lambda given: torch.cat(each_mean(stages, given), 1),
            4 * sum(widths),
            {"pool": "mean of each stage"},
        )
        found = torch.split(joined(self._batches(taken), len(self.indices)), widths, 1)
        plain = self._features(self._taken(len(stages), "none"))
        with suppress(OSError):
            if plain.store.room_for(found[-1].numel() * 4) is None:
                plain.keep(len(stages), self.indices, found[-1])
        return dict(zip(names, found, strict=True))

    @cached_property
    def device(self) -> torch.device:
        """Where it is computed."""
        return lone_device(self.accelerator)

    def _blank(self) -> Input:
        """One input that holds nothing, where the backbone goes."""
        self.backbone.to(self.device)
        return moved(evaluation_transform(self.backbone.preprocessing).blank(1), self.device)

    def _taken(self, stop: int, pool: str) -> Taken:
        self.backbone.to(self.device)
        stages = list(self.backbone.stages.values())[:stop]
        prefix = FastPrefix(stages) if self.fast else lambda given: self.backbone(given, stop=stop)
        value_bytes = 2 if self.fast else 4
        if stop == len(self.backbone):
            return Taken(stop, prefix, self.backbone.width * value_bytes)
        with evaluating(self.backbone):
            shape = shape_after(self.backbone, self._blank(), stop)
        if pool == "none":
            return Taken(stop, prefix, shape.numel() * value_bytes, kept=False)
        return Taken(
            stop, lambda given: mean_over_places(prefix(given), stages[-1]), 4 * max(shape), {"pool": pool}
        )

    def _features(self, taken: Taken) -> SampleFeatures:
        store = FeatureStore(cache_folder(self.cache["dir"]) / "features", self.cache["max_bytes"])
        device = self.device
        precision = "fast" if self.fast else "32-true"
        return SampleFeatures(
            store,
            self.backbone,
            self.data.samples,
            evaluation_transform(self.backbone.preprocessing),
            lambda given, stop: taken.run(moved(given, device)),
            {"device": device.type, "precision": precision, "channels_last": self.fast, **taken.how},
            label=self.label,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
        )

    def _batches(self, taken: Taken) -> Iterator[Tensor]:
        features = self._features(taken)
        if not (lacking := features.lacking(taken.stop, self.indices)):
            there = f"is all stored already, {len(self.indices):,} {self.data.kind.plural}"
            print(f"cache: what {self.label} gives {there}", flush=True)
        elif not taken.kept:
            yield from features.compute(taken.stop, self.indices)
            return
        if why := features.store.room_for(lacking * taken.bytes):
            print(f"cache: not used: {why}")
            yield from features.compute(taken.stop, self.indices)
            return
        try:
            stored = features.get(taken.stop, self.indices, image_bytes=taken.bytes)
        except OSError as error:
            # The folder is another user's, or the disk is full.
            reason = error.strerror or error
            print(f"cache: not used: {features.store.path} cannot be used ({reason})", flush=True)
            yield from features.compute(taken.stop, self.indices)
            return
        at_once = max(1, AT_ONCE // taken.bytes)
        for start in range(0, len(self.indices), at_once):
            yield stored.take(np.arange(start, min(start + at_once, len(self.indices))))


def joined(batches: Iterator[Tensor], count: int) -> Tensor:
    """Batches `(B, …)` as one tensor `(count, …)`, with no more than one of them beside it."""
    whole: Tensor | None = None
    filled = 0
    for batch in batches:
        if whole is None:
            whole = torch.empty(count, *batch.shape[1:], dtype=batch.dtype)
        whole[filled : filled + len(batch)] = batch
        filled += len(batch)
    assert whole is not None
    return whole


def features_of(backbone: Backbone, label: str, **how: Any) -> Tensor:
    """`(N, D)` float32: the features of some images, as `Extraction.whole` with the same arguments."""
    extraction = Extraction(backbone=backbone, label=label, **how)
    return joined(extraction.whole(), len(extraction.indices))


def features_of_stages(backbone: Backbone, label: str, **how: Any) -> dict[str, Tensor]:
    """By stage `(N, C)`, as `Extraction.each_stage` with the same arguments."""
    return Extraction(backbone=backbone, label=label, **how).each_stage()
