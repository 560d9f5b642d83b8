"""Boundary tensors of samples: read from the store, computed by a backbone's first stages where they lack."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from graft.backbones import Backbone
from graft.backbones.inputs import Input
from graft.data import Samples, TransformedSamples, make_loader
from graft.data.kinds import kind_of
from graft.data.loading import PlainTransform
from graft.data.samples import Indices
from graft.data.transforms import Transform
from graft.features.extraction import evaluating, extract
from graft.features.keys import boundary_key, sample_ids, stage_digest, surroundings
from graft.features.loading import OneView
from graft.features.store import FeatureStore, Stored
from graft.runs.log import say

# Seconds between two lines that say how far the computing has come.
TELL_EVERY = 20.0


@dataclass(frozen=True)
class SampleFeatures:
    """What a backbone's stages, from the stem on, make of samples under one transform.

    Attributes:
        store: where tensors are kept.
        backbone: with the weights it has when it is given; they must not change after that.
        samples: the images.
        transform: from samples to the backbone's input.
        run: inputs of B samples and the number of stages to tensors `(B, …)`, on any device.
        how: plain values that `run` depends on: device, precision, layout.
        label: the backbone's name, for people to read.
        batch_size: B; no more than all images. It changes the last bits, and is no part of the key.
        num_workers: processes that decode images.
        seed: of the transform's draws; None: it draws nothing.
        check: called after each batch; may raise to stop.
    """

    store: FeatureStore
    backbone: Backbone
    samples: Samples
    transform: Transform | PlainTransform
    run: Callable[[Input, int], Tensor]
    how: Mapping[str, object]
    label: str
    batch_size: int
    num_workers: int | None = None
    seed: int | None = None
    check: Callable[[], None] = lambda: None

    @cached_property
    def keys(self) -> list[str]:
        """The key of the tensors after each stage."""
        digests = [stage_digest(stage) for stage in self.backbone.stages.values()]
        around = surroundings(self.backbone, self.transform, self.how, self.samples.loaders())
        return [boundary_key(digests[:stop], around) for stop in range(1, len(digests) + 1)]

    def lacking(self, stop: int, indices: Indices, view: int | None = None) -> int:
        """How many tensors would have to be computed."""
        return len(self.store.missing(self.keys[stop - 1], self._ids(indices, view)))

    def get(self, stop: int, indices: Indices, view: int | None = None, image_bytes: int = 0) -> Stored:
        """The tensors `(…)` that the first `stop` stages make of each image, in the order of `indices`.

        Args:
            stop: how many stages, at least 1.
            indices: of the images.
            view: which of an augmentation's draws: that of this epoch; None where nothing is drawn.
            image_bytes: of one tensor, as far as is known; room is made for so many.

        Raises:
            SampleError: an image cannot be read.
            OSError: the store cannot be written to.
        """
        return self._kept(
            stop, indices, view, lambda missing: self.compute(stop, indices[missing], view), image_bytes
        )

    def keep(self, stop: int, indices: Indices, tensors: Tensor) -> None:
        """Keep what the first `stop` stages make of these images, `(N, …)`, which is known already.

        Raises:
            OSError: the store cannot be written to.
        """
        size = tensors[0].numel() * tensors.element_size()
        self._kept(stop, indices, None, lambda missing: [tensors[missing]], size)

    def _kept(
        self,
        stop: int,
        indices: Indices,
        view: int | None,
        compute: Callable[[list[int]], Iterable[Tensor]],
        image_bytes: int,
    ) -> Stored:
        name = self.backbone.stage_names[stop - 1]
        about = {"backbone": self.label, "after": name, **self.how, "augmented": view is not None}
        ids = self._ids(indices, view)
        return self.store.get_or_compute(self.keys[stop - 1], ids, compute, about, image_bytes)

    def _ids(self, indices: Indices, view: int | None) -> Sequence[bytes]:
        if view is None:
            return sample_ids(self.samples, indices)
        assert self.seed is not None
        return sample_ids(self.samples, indices, drawn=(self.seed, view))

    def compute(self, stop: int, indices: Indices, view: int | None = None) -> Iterator[Tensor]:
        """As `get`, but computed anew, batch by batch `(B, …)`, and not kept."""
        name = self.backbone.stage_names[stop - 1]
        items = TransformedSamples(self.samples, indices, self.transform)
        if view is not None:
            items = OneView(self.samples, indices, self.transform, self.seed, view)
        size = min(self.batch_size, len(self.samples))
        loader = make_loader(items, batch_size=size, num_workers=self.num_workers)
        started = last_line = time.perf_counter()
        total, plural = len(indices), kind_of(self.backbone.preprocessing).plural
        say(f"cache: computing what {name} gives, {total:,} {plural}")

        def tell(done: int) -> None:
            nonlocal last_line
            self.check()
            moment = time.perf_counter()
            if moment - last_line >= TELL_EVERY and done < total:
                last_line = moment
                seconds = (moment - started) / done * (total - done)
                say(f"cache: {done:,} of {total:,} {plural}, {seconds:.0f} s to go")

        with evaluating(*list(self.backbone.stages.values())[:stop]):
            yield from extract(lambda batch: self.run(batch, stop), loader, size, tell)
        say(f"cache: computed in {time.perf_counter() - started:.1f} s")
