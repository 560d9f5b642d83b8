"""Looks that are kept in the user's cache folder: an image that was looked at once is not decoded again.

A look is found by what the image holds and by the code that made it, never by a name or a date.
"""

import hashlib
import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import imagehash
import numpy as np
import PIL
import scipy

from graft.data import deep_images, image_data, images, levels, looks
from graft.data.cache_location import cache_folder
from graft.data.image_data import ImageSet
from graft.data.images import ImageError
from graft.data.looks import SIDE, Look, in_threads, look_at
from graft.runs.log import say

# A checksum, then what `Look` has but for the mode, which comes last.
_SUM = struct.Struct("<I")
_FIELDS = struct.Struct(f"<IIB?32s8s{SIDE * SIDE}s")
# Images that are looked at before what was seen is kept, so that what is stopped loses little.
STEP = 2048
# Seconds to wait for another process that writes.
PATIENCE = 10


def kept_looks(
    images: ImageSet, threads: int | None, report: Callable[[int], None] = lambda done: None
) -> list[Look | str]:
    """As `looks.all_looks`, of which those are read back that were kept; the others are kept now.

    Every file is read all the same, for its content says which look is its own. What cannot be read is not
    kept. Where the cache cannot be used a line says so, and every image is looked at.
    """
    keys = in_threads(partial(_key, images, code_version()), range(len(images)), threads, lambda done: None)
    known = _read([key for key in keys if isinstance(key, bytes)])
    # By index; what could not even be read has its reason for a key.
    found: dict[int, Look | str] = {}
    missing: dict[int, bytes] = {}
    for index, key in enumerate(keys):
        if isinstance(key, str):
            found[index] = key
        elif (look := _unpacked(known.get(key, b""))) is not None:
            found[index] = look
        else:
            missing[index] = key
    for start in range(0, len(missing), STEP):
        step, before = list(missing)[start : start + STEP], len(found)

        def tell(done: int, before: int = before) -> None:
            report(before + done)

        seen = dict(zip(step, in_threads(partial(look_at, images), step, threads, tell), strict=True))
        _keep({missing[index]: _packed(look) for index, look in seen.items() if isinstance(look, Look)})
        found |= seen
    return [found[index] for index in range(len(images))]


def code_version() -> bytes:
    """Changes with the code that turns an image into a look, here and in the libraries."""
    modules = (images, image_data, levels, deep_images, looks)
    digest = hashlib.sha256(b"".join(Path(str(module.__file__)).read_bytes() for module in modules))
    libraries = (PIL, np, scipy, imagehash)
    digest.update(" ".join(str(library.__version__) for library in libraries).encode())
    return digest.digest()


def _key(images: ImageSet, version: bytes, index: int) -> bytes | str:
    """What a look is kept under; the reason where the image cannot be read."""
    try:
        return hashlib.sha256(version + images.digest(index)).digest()
    except ImageError as error:
        return str(error)


def _packed(look: Look) -> bytes:
    body = _FIELDS.pack(
        *(look.width, look.height, look.span, look.blank),
        *(look.digest, np.packbits(look.bits).tobytes(), look.small.tobytes()),
    )
    body += look.mode.encode()
    return _SUM.pack(zlib.crc32(body)) + body


def _unpacked(kept: bytes) -> Look | None:
    """The look that was packed; None where it is damaged, or nothing."""
    checksum, body = kept[: _SUM.size], kept[_SUM.size :]
    if len(body) <= _FIELDS.size or checksum != _SUM.pack(zlib.crc32(body)):
        return None
    width, height, span, blank, digest, bits, small = _FIELDS.unpack(body[: _FIELDS.size])
    unpacked = np.unpackbits(np.frombuffer(bits, np.uint8)).astype(bool)
    grey = np.frombuffer(small, np.uint8).reshape(SIDE, SIDE)
    return Look(width, height, body[_FIELDS.size :].decode(), digest, unpacked, grey, blank, span)


def looks_file() -> Path:
    """Where looks are kept, those of all images."""
    return cache_folder() / "looks.sqlite"


def _read(keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
    """What is kept under each key, where anything is."""
    if not looks_file().exists():
        return {}
    try:
        with closing(sqlite3.connect(looks_file(), timeout=PATIENCE)) as file:
            return dict(_found(file, keys))
    except (sqlite3.Error, OSError) as error:
        say(f"warning: {looks_file()} cannot be read ({error}); every image is looked at anew")
        return {}


def _found(file: sqlite3.Connection, keys: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    for key in keys:
        if row := file.execute("SELECT look FROM looks WHERE key = ?", (key,)).fetchone():
            yield key, bytes(row[0])


def _keep(looks: Mapping[bytes, bytes]) -> None:
    """Keep packed looks under their keys; of two processes that write the same, both write the same."""
    try:
        looks_file().parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(looks_file(), timeout=PATIENCE)) as file, file:
            file.execute("CREATE TABLE IF NOT EXISTS looks (key BLOB PRIMARY KEY, look BLOB) WITHOUT ROWID")
            file.executemany("INSERT OR REPLACE INTO looks VALUES (?, ?)", looks.items())
    except (sqlite3.Error, OSError) as error:
        say(f"warning: {looks_file()} cannot be written ({error}); a later run looks at every image again")
