"""What one look at an image tells: whether it can be read, its size and mode, and what it is like."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeVar

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from graft.data.image_samples import ImageSamples
from graft.data.samples import SampleError, Samples
from graft.runs.environment import cores

# Side of the small grey copy by which images are compared, px.
SIDE = 16
# Images that a thread takes at a time.
BATCH = 64
Result = TypeVar("Result")


class Look(NamedTuple):
    """One image that could be read.

    Attributes:
        width: px, upright.
        height: px, upright.
        mode: Pillow's name of the mode that it is stored in.
        digest: of its pixels as RGB and its size: equal where every pixel is.
        bits: `(64,)` bool, its perceptual hash: few differ where a picture was scaled or compressed anew.
        small: `(SIDE, SIDE)` uint8, its grey values, scaled.
        blank: whether all of its pixels are alike.
        span: from its darkest value to its brightest, of 255.
    """

    width: int
    height: int
    mode: str
    digest: bytes
    bits: NDArray[np.bool_]
    small: NDArray[np.uint8]
    blank: bool
    span: int


def look_at(images: Samples, index: int) -> Look | str:
    """Look at one image; where it cannot be read, the reason."""
    try:
        image = images[index]
        mode = images.mode(index) if isinstance(images, ImageSamples) else image.mode
    except SampleError as error:
        return str(error)
    digest = hashlib.sha256(repr(image.size).encode())
    digest.update(image.tobytes())
    grey = image.convert("L")
    # At first roughly, since a photograph is much larger than what is left of it.
    reduced = grey.resize((32, 32), Image.Resampling.LANCZOS, reducing_gap=3.0)
    bits = imagehash.phash(reduced).hash.ravel()
    small = np.asarray(reduced.resize((SIDE, SIDE), Image.Resampling.BOX))
    extrema: Any = image.getextrema()
    blank = all(low == high for low, high in extrema)
    span = max(high for _, high in extrema) - min(low for low, _ in extrema)
    return Look(image.width, image.height, mode, digest.digest(), bits, small, blank, span)


def all_looks(
    samples: Samples,
    threads: int | None,
    report: Callable[[int], None],
    look: Callable[[Samples, int], Any] = look_at,
) -> list[Any]:
    """Look at every sample, in order, as its kind does; as `in_threads`."""
    return in_threads(partial(look, samples), range(len(samples)), threads, report)


def in_threads(
    work: Callable[[int], Result], indices: Sequence[int], threads: int | None, report: Callable[[int], None]
) -> list[Result]:
    """What `work` gives for each index, in order; `report` is called with the number done, now and then.

    So many threads work at once; None: one a core that this process may use, at most 8.
    """
    starts = range(0, len(indices), BATCH)

    def batch(start: int) -> list[Result]:
        return [work(index) for index in indices[start : start + BATCH]]

    gathered: list[Result] = []
    # Threads, since to decode, scale and hash take no turns in Python.
    with ThreadPoolExecutor(min(8, cores()) if threads is None else max(1, threads)) as pool:
        try:
            for results in pool.map(batch, starts):
                gathered += results
                report(len(gathered))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return gathered


def readable(looks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """Index and look of each sample that could be read."""
    return ((index, look) for index, look in enumerate(looks) if not isinstance(look, str))
