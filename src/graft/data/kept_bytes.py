"""Bytes that are kept under keys in one file of the user's cache folder, for what is found out of images.

A key says all that its bytes depend on, so what is found is right. A file that cannot be used is told, and
costs nothing but time.
"""

import os
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

from graft.data.cache_location import cache_folder
from graft.runs.log import say

# Seconds to wait for another process that writes.
PATIENCE = 10
# Bytes of the checksum before what is kept.
_SUM = 4


def kept_file(folder: str | None = None) -> Path:
    """Where they are kept, those of all data sets, in a cache folder; None: the user's."""
    return cache_folder(folder) / "looks.sqlite"


def read(keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
    """What is kept under each key, where anything is and it is whole."""
    try:
        if not kept_file().exists():
            return {}
        with suppress(OSError):
            # When it was last used is what `graft cache` goes by; it may be another user's.
            os.utime(kept_file())
        with closing(sqlite3.connect(kept_file(), timeout=PATIENCE)) as file:
            return dict(_found(file, keys))
    except (sqlite3.Error, OSError) as error:
        say(f"warning: {kept_file()} cannot be read ({error}); every image is looked at anew")
        return {}


def keep(values: Mapping[bytes, bytes]) -> None:
    """Keep bytes under their keys; of two processes that keep the same, both write the same."""
    rows = [(key, zlib.crc32(value).to_bytes(_SUM, "little") + value) for key, value in values.items()]
    try:
        kept_file().parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(kept_file(), timeout=PATIENCE)) as file, file:
            file.execute("CREATE TABLE IF NOT EXISTS kept (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
            file.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?)", rows)
    except (sqlite3.Error, OSError) as error:
        say(f"warning: {kept_file()} cannot be written ({error}); a later run looks at every image again")


def _found(file: sqlite3.Connection, keys: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    # Another process may just be about to make the table.
    if not file.execute("SELECT 1 FROM sqlite_master WHERE name = 'kept'").fetchone():
        return
    for key in keys:
        if row := file.execute("SELECT value FROM kept WHERE key = ?", (key,)).fetchone():
            checksum, value = row[0][:_SUM], row[0][_SUM:]
            if checksum == zlib.crc32(value).to_bytes(_SUM, "little"):
                yield key, value
