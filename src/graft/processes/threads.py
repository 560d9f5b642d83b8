"""How many threads compute."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def threads(wanted: int | None, processes: int) -> int:
    """The threads that a process gets.

    Jobs that share cores must share them out: threads that wait for one another stand still whenever one of
    them has no core. So the cores that torch finds are divided by the processes of the run, whose share is
    one thread at least. OMP_NUM_THREADS is the share already: launchers such as torchrun and joblib set it.
    """
    if wanted is not None:
        return wanted
    available = torch.get_num_threads()
    return available if os.environ.get("OMP_NUM_THREADS") else max(1, available // processes)


@contextmanager
def kept_threads() -> Iterator[None]:
    """Afterwards torch has the threads that it had: the next job of a sweep chooses anew."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
