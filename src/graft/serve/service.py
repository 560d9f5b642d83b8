"""A bundle in use by many clients: what they send becomes its answers, in batches."""

import asyncio
import io
import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from graft.backbones.preprocessing import Preprocessing
from graft.data.received import TooLarge, sample_from
from graft.errors import GraftError
from graft.models import Bundle, Prediction
from graft.runs.environment import cores
from graft.serve.batching import Batches, Full, Place, best_size
from graft.serve.heatmaps import Heatmaps
from graft.serve.limits import Limits, Refused
from graft.serve.uploads import Upload

log = logging.getLogger(__name__)
# Share of a picture that its map covers where it is strongest.
COVER = 0.65


class Unreadable(NamedTuple):
    """What is said of a file that cannot be read."""

    error: str


class Service:
    """Predicts samples that are sent, and says what the network looked at.

    Args:
        bundle: on the device that computes.
        limits: what is taken.
        batch_size: the largest batch; None: the one at which most samples go through in a second, by trying.
        wait: seconds that a batch waits for samples that are on their way.

    Attributes:
        bundle, limits: as above.
        heatmaps: None where the samples are no images, or the network keeps no places.
    """

    def __init__(self, bundle: Bundle, limits: Limits, batch_size: int | None, wait: float) -> None:
        self.bundle = bundle
        self.limits = limits
        self.heatmaps = heatmaps_of(bundle)
        size = batch_size or best_size(
            lambda count: bundle.probabilities(bundle.transform.blank(count)), min(64, limits.queue)
        )
        # The network serves one thread at a time.
        self._network = threading.Lock()
        self.batches = Batches(self._answers, size, wait, limits.queue)
        self._readers = ThreadPoolExecutor(cores())

    def close(self) -> None:
        """Answer nothing more."""
        self.batches.close()
        self._readers.shutdown(wait=False, cancel_futures=True)

    async def predict(self, uploads: Sequence[Upload]) -> list[Prediction | Unreadable]:
        """What is said of each file, in their order.

        Raises:
            Refused: there is no room for them, they take too long, or one would unpack to too much.
        """
        with self._announced(len(uploads)) as place:
            answers = [self._predicted(upload, place) for upload in uploads]
            return await asyncio.wait_for(_all(answers), self.limits.seconds)

    async def looked_at(self, upload: Upload, label: str | None, bare: bool) -> tuple[bytes, str]:
        """What the network looked at, as a PNG, and the class that it speaks for.

        Args:
            upload: an image.
            label: the class; None: the most probable one.
            bare: the map alone, grey, rather than laid over the picture that the network saw.

        Raises:
            Refused: there are no such maps of this network, no such class, the file cannot be read, or it
                takes too long.
        """
        names = self.bundle.class_names
        if self.heatmaps is None:
            raise Refused(404, f"what this network looked at in {self.bundle.kind.plural} cannot be shown")
        if label is not None and label not in names:
            raise Refused(422, "there is no such class; GET /about names them")
        with self._announced(1) as place:
            # It takes its turn at the network by the lock; no batch is to wait for it.
            place.leave()
            draw = partial(self._drawn, upload, label, bare)
            drawing = asyncio.get_running_loop().run_in_executor(self._readers, draw)
            drawn = await asyncio.wait_for(drawing, self.limits.seconds)
        if isinstance(drawn, Unreadable):
            raise Refused(422, f"{upload.name}: {drawn.error}")
        return drawn

    @contextmanager
    def _announced(self, count: int) -> Iterator[Place]:
        """Room for so many samples within the block, which is to end in time.

        Raises:
            Refused: there is none, or it took too long.
        """
        try:
            with self.batches.announced(count) as place:
                yield place
        except Full:
            raise Refused(503, f"{self.batches.held:,} files wait for an answer; try again") from None
        except (asyncio.TimeoutError, TimeoutError):
            raise Refused(503, f"no answer within {self.limits.seconds:g} s; try again") from None

    async def _predicted(self, upload: Upload, place: Place) -> Prediction | Unreadable:
        read = partial(self._prepared, upload)
        prepared = await asyncio.get_running_loop().run_in_executor(self._readers, read)
        if isinstance(prepared, Unreadable):
            place.drop()
            return prepared
        prediction: Prediction = await asyncio.wrap_future(place.put(prepared))
        return prediction

    def _prepared(self, upload: Upload) -> Any:
        """A file made ready for the network; where it cannot be read, why.

        Raises:
            Refused: it would unpack to too much.
        """
        bundle, limits = self.bundle, self.limits
        try:
            sample = sample_from(bundle.kind, upload.name, upload.content, limits.pixels, bundle.levels)
            return bundle.prepare(sample)
        except TooLarge as error:
            raise Refused(413, str(error)) from error
        except GraftError as error:
            return Unreadable(str(error).removeprefix(f"{upload.name}: "))
        except Exception as error:
            # A fault of ours or of a library's, which must not cost the other files their answers.
            log.exception("a file of %d bytes could not be read", len(upload.content))
            return Unreadable(f"cannot be read ({type(error).__name__})")

    def _answers(self, prepared: Sequence[Any]) -> list[Prediction]:
        with self._network:
            return self.bundle.answers(prepared)

    def _drawn(self, upload: Upload, label: str | None, bare: bool) -> tuple[bytes, str] | Unreadable:
        assert self.heatmaps is not None
        prepared = self._prepared(upload)
        if isinstance(prepared, Unreadable):
            return prepared
        inputs: Any = self.bundle.finished([prepared])
        with self._network:
            chosen = label or self.bundle.answers([prepared])[0].label
            strength = self.heatmaps.maps(inputs, [self.bundle.class_names.index(chosen)])[0]
        grey = Image.fromarray((strength * 255).round().astype(np.uint8))
        picture = grey if bare else laid_over(self.bundle.transform.shown(inputs)[0], strength)
        written = io.BytesIO()
        picture.save(written, "PNG")
        return written.getvalue(), chosen


def heatmaps_of(bundle: Bundle) -> Heatmaps | None:
    """What says where the network looked; None where that cannot be said."""
    if not isinstance(bundle.preprocessing, Preprocessing):
        return None
    heatmaps = Heatmaps(bundle.backbone, bundle.head, bundle.preprocessing.crop)
    if not heatmaps.layers:
        return None
    # Once now, since what draws takes seconds to import.
    heatmaps.maps(bundle.transform.blank(1), [0])  # type: ignore[arg-type]
    return heatmaps


def laid_over(picture: Image.Image, strength: "np.ndarray[Any, np.dtype[np.float32]]") -> Image.Image:
    """A map `(S, S)`, from 0 to 1, in colours over a picture, which shows through where it is weak."""
    # Imported here: it is slow, and seldom asked for.
    from matplotlib import colormaps

    colours = colormaps["inferno"](strength)[..., :3] * 255
    cover = COVER * strength[..., None]
    mixed = np.asarray(picture) * (1 - cover) + colours * cover
    return Image.fromarray(mixed.round().astype(np.uint8))


async def _all(answers: Sequence[Any]) -> list[Prediction | Unreadable]:
    """All of them; where one raises, the others are cancelled before it is raised."""
    tasks = [asyncio.ensure_future(answer) for answer in answers]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
