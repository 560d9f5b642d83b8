"""Looks that are kept: an image that was looked at once is not decoded again.

A look is found by what the image holds and by the code that made it, never by a name or a date.
"""

import hashlib
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import imagehash
import numpy as np
import PIL
import scipy

from graft.data import deep_images, images, levels, looks, sample_data
from graft.data.kept_bytes import keep, read
from graft.data.looks import SIDE, Look, in_threads, look_at
from graft.data.samples import SampleError, Samples

# What `Look` has but for the mode, which comes last.
_FIELDS = struct.Struct(f"<IIB?32s8s{SIDE * SIDE}s")
# Images that are looked at before what was seen is kept, so that what is stopped loses little.
STEP = 2048


def kept_looks(
    images: Samples, threads: int | None, report: Callable[[str, int], None] = lambda what, done: None
) -> list[Look | str]:
    """As `looks.all_looks`, of which those are read back that were kept; the others are kept now.

    Every file is read all the same, for its content says which look is its own. What cannot be read is not
    kept. `report` is called now and then with what is being done, and for how many images it is done.
    """
    version = code_version()
    # By index; what could not even be read has its reason for a content.
    found: dict[int, Look | str] = {}
    keys: dict[int, bytes] = {}
    for index, content in enumerate(contents(images, threads, report)):
        if isinstance(content, str):
            found[index] = content
        else:
            keys[index] = hashlib.sha256(version + content).digest()
    kept = read(list(keys.values()))
    found |= {index: _unpacked(kept[key]) for index, key in keys.items() if key in kept}
    missing = [index for index in keys if index not in found]
    for start in range(0, len(missing), STEP):
        step, before = missing[start : start + STEP], len(found)

        def tell(done: int, before: int = before) -> None:
            report("looked at", before + done)

        seen = dict(zip(step, in_threads(partial(look_at, images), step, threads, tell), strict=True))
        keep({keys[index]: _packed(look) for index, look in seen.items() if isinstance(look, Look)})
        found |= seen
    return [found[index] for index in range(len(images))]


def contents(images: Samples, threads: int | None, report: Callable[[str, int], None]) -> list[bytes | str]:
    """The digest of each image's content, in order; the reason where it cannot be read."""

    def content(index: int) -> bytes | str:
        try:
            return images.digest(index)
        except SampleError as error:
            return str(error)

    return in_threads(content, range(len(images)), threads, lambda done: report("read", done))


def code_version() -> bytes:
    """Changes with the code that turns an image into a look, here and in the libraries; 32 bytes."""
    modules = (images, sample_data, levels, deep_images, looks)
    digest = hashlib.sha256(b"".join(Path(str(module.__file__)).read_bytes() for module in modules))
    libraries = (PIL, np, scipy, imagehash)
    digest.update(" ".join(str(library.__version__) for library in libraries).encode())
    return digest.digest()


def _packed(look: Look) -> bytes:
    numbers = (look.width, look.height, look.span, look.blank)
    arrays = (look.digest, np.packbits(look.bits).tobytes(), look.small.tobytes())
    return _FIELDS.pack(*numbers, *arrays) + look.mode.encode()


def _unpacked(kept: bytes) -> Look:
    width, height, span, blank, digest, bits, small = _FIELDS.unpack(kept[: _FIELDS.size])
    unpacked = np.unpackbits(np.frombuffer(bits, np.uint8)).astype(bool)
    grey = np.frombuffer(small, np.uint8).reshape(SIDE, SIDE)
    return Look(width, height, kept[_FIELDS.size :].decode(), digest, unpacked, grey, blank, span)
