"""Standard output, which may have another encoding, be closed, or be replaced by the program."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def is_terminal() -> bool:
    """Whether standard output is a terminal. A program's replacement of it may not know."""
    try:
        return bool(sys.stdout.isatty())
    except (AttributeError, ValueError):
        return False


_lock = threading.Lock()
# How many blocks of `lenient_output` are open, and what the streams did before the first.
_inside = 0
_before: list[tuple[Any, str]] = []


@contextmanager
def lenient_output() -> Iterator[None]:
    """Within the block, standard output and error replace what they cannot encode, as cp1252 cannot 中.

    Afterwards they are as they were. Blocks may overlap, as in threads: the last to end puts things back.
    """
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _before[:] = [
                (stream, str(stream.errors)) for stream in (sys.stdout, sys.stderr) if _is_strict(stream)
            ]
            for stream, _ in _before:
                stream.reconfigure(errors="replace")
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                for stream, errors in _before:
                    if not stream.closed:
                        stream.reconfigure(errors=errors)
                _before.clear()


def _is_strict(stream: Any) -> bool:
    """Whether the stream raises an error for text that it cannot encode."""
    if not hasattr(stream, "reconfigure") or stream.closed:
        return False
    # In UTF-8 the bytes of any name come out again by `surrogateescape`.
    utf8 = str(stream.encoding).lower().replace("-", "") == "utf8"
    return stream.errors == "strict" or (stream.errors == "surrogateescape" and not utf8)
