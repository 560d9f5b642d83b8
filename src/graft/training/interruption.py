"""Ctrl-C and SIGTERM as exceptions that say what they are, whatever Lightning makes of them."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# One run trains at a time in a process: signals belong to the process, and so do these.
_deferred = False
_pending: BaseException | None = None
_active = False


class Terminated(SystemExit):
    """SIGTERM: exit status 143."""

    def __init__(self) -> None:
        super().__init__(143)


def defer(wanted: bool) -> None:
    """Let a signal wait for `raise_pending`, so that no step is left half done; a second does not wait."""
    global _deferred
    _deferred = wanted
    if wanted and _active:
        # Lightning has put a handler of its own before ours, which would end training before it is saved.
        signal.signal(signal.SIGTERM, _stop)


def is_pending() -> bool:
    """Whether a signal waits."""
    return _pending is not None


def raise_pending(stops: bool) -> None:
    """Raise what a signal that waits asks for, if the run stops.

    Args:
        stops: `is_pending()`, of this process or of another that trains with it.

    Raises:
        KeyboardInterrupt: Ctrl-C came.
        Terminated: SIGTERM came, or another process is told to stop.
    """
    if stops:
        defer(False)
        raise _pending or Terminated()


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `KeyboardInterrupt` on Ctrl-C and `Terminated` on SIGTERM out of the block.

    Lightning answers Ctrl-C with `sys.exit(1)` and leaves the signal ignored, and outside SLURM it answers
    SIGTERM by stopping as if training were done; both would let an interrupted run pass as finished.
    """
    global _pending, _active
    # Signals belong to the main thread; elsewhere (a server, a test runner) nothing can be set.
    in_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    _pending = None
    defer(False)
    if in_main:
        for number in before:
            signal.signal(number, _stop)
        _active = True
    try:
        yield
    except (KeyboardInterrupt, Terminated):
        raise
    except SystemExit as error:
        raise _pending or KeyboardInterrupt() from error
    except BaseException as error:
        # The same signal may have ended the processes that load, which is then no error of theirs.
        if _pending is not None:
            raise _pending from error
        raise
    finally:
        _pending = None
        _active = False
        defer(False)
        if in_main:
            for number, handler in before.items():
                signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    global _pending
    again = _pending is not None
    _pending = Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
    if again or not _deferred:
        raise _pending
    # Not print, which may be what the signal came in the middle of.
    os.write(2, b"graft: stopping after this step; once more to stop at once\n")
