"""What a run says: on the terminal, and with the time in the run folder's `train.log`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graft.configuration.plain_text import encodable
from graft.errors import visible

_log = logging.getLogger("graft.run")


def say(text: str) -> None:
    """Print a line, and keep it in the run's log where one is open."""
    print(visible(text), flush=True)
    keep(text)


def keep(text: str) -> None:
    """Keep a text in the run's log alone."""
    _log.info("%s", encodable(text))


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """While this lasts, what is said is also written to `path`."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    _log.setLevel(logging.INFO)
    _log.propagate = False
    _log.addHandler(handler)
    try:
        yield
    finally:
        _log.removeHandler(handler)
        handler.close()
