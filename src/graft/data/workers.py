"""Processes that load images: how many pay, and whether this process can have them."""

import multiprocessing
import pickle
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from torch.utils.data import DataLoader

from graft.errors import GraftError
from graft.runs.environment import cores
from graft.runs.log import say

Item = TypeVar("Item")


class ImageLoader(DataLoader[Item]):
    """A DataLoader that loads in this process where its images cannot be sent to another.

    Where worker processes do not begin as forks, a function of one's own that has no name in a module cannot.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        try:
            with warnings.catch_warnings():
                # The warning below says it.
                warnings.filterwarnings("ignore", message="Got pickle error")
                return super().__iter__()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            if not self.num_workers:
                raise
            say(f"warning: no worker processes load, for the images cannot be sent to them: {error}")
            self.num_workers = 0
            return super().__iter__()


def outlive_sigterm(worker: int) -> None:
    """Let SIGTERM end a process that loads half a minute later, if it is there for so long.

    SLURM and others send it to all processes of a run at once, of which the main one wants to end its step.
    """
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(30))


def worker_count(asked: int | None, batches: int) -> int:
    """How many processes load: what is asked for, or `default_workers`, but no more than there are batches.

    Raises:
        GraftError: some are asked for, and this process cannot start them.
    """
    check_workers(asked)
    return min(default_workers() if asked is None else asked, batches)


def default_workers(processes: int = 1) -> int:
    """Loading processes that pay for each of some that train here: none on 2 cores or fewer.

    None too where this process cannot start them.
    """
    share = cores() // processes
    return 0 if share <= 2 or obstacle() else min(8, share - 1)


def check_workers(asked: int | None, key: str = "num_workers") -> None:
    """Refuse worker processes that this one cannot start.

    Raises:
        GraftError: says why, and what works.
    """
    if asked and (why := obstacle()):
        raise GraftError(f"{key}={asked}: {why}; {key}=0 loads in this process")


def obstacle() -> str | None:
    """Why this process cannot start others by `multiprocessing`; None where it can."""
    if multiprocessing.current_process().daemon:
        return "this process is a daemon of multiprocessing, such as a Pool's, and may start no others"
    if start_method() != "fork" and (script := _unguarded()):
        return (
            f"each worker process would run {script} again, whose calls do not stand below "
            'if __name__ == "__main__":'
        )
    return None


def start_method() -> str:
    """How `multiprocessing` starts processes; to ask does not settle it for the program around this."""
    return multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]


def _unguarded() -> str | None:
    """The script that this program is, where a process that is not a fork would run it all once more."""
    main = sys.modules["__main__"]
    module = getattr(getattr(main, "__spec__", None), "name", "")
    script = getattr(main, "__file__", None)
    # As `multiprocessing.spawn` has it: neither `python -m package` nor a prompt is run again.
    if script is None or module.endswith("__main__"):
        return None
    try:
        return None if "__name__" in Path(script).read_text(encoding="utf-8") else script
    except (OSError, ValueError):
        return None
