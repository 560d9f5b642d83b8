"""Ctrl-C, SIGTERM and SLURM's SIGUSR1 as exceptions that say what they are, whatever Lightning does.

A run that is to pause, after some epochs or at some moment, stops in the same way.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from graft.runs import slurm

# One run trains at a time in a process: signals belong to the process, and so do these.
_deferred = False
_pending: BaseException | None = None
_active = False
_owner = os.getpid()


class Terminated(SystemExit):
    """A signal from another process; the exit status is 128 and its number, so 143 for SIGTERM.

    Attributes:
        reason: the signal's name.
        requeue: whether it was SIGUSR1, by which SLURM says that a job's time is nearly up.
    """

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(128 + number)
        self.reason = signal.Signals(number).name
        self.requeue = self.reason == "SIGUSR1"


class Paused(Terminated):
    """A run stops where its words, or the command that trains it, told it to; the exit status is 0."""

    def __init__(self, reason: str) -> None:
        SystemExit.__init__(self, 0)
        self.reason = reason
        self.requeue = False


class _Pausing(threading.local):
    """What lets a run of this thread pause; no signal is needed for that, so it need not be the main thread.

    Attributes:
        wanted: as `pause` was told; None: it was not.
        deadline: of `time.monotonic`, from when on it is to pause; None: never.
    """

    wanted: Paused | None = None
    deadline: float | None = None

    def due(self) -> Paused | None:
        """What a run of this thread is to raise now; None: nothing."""
        if self.wanted is None and self.deadline is not None and time.monotonic() >= self.deadline:
            return Paused("out of time")
        return self.wanted


_pausing = _Pausing()


def pause(reason: str) -> None:
    """Let the run stop where it is next saved, as after a signal."""
    _pausing.wanted = Paused(reason)


@contextmanager
def until(moment: float) -> Iterator[None]:
    """Within the block, a run pauses from this moment of `time.monotonic` on."""
    before, _pausing.deadline = _pausing.deadline, moment
    try:
        yield
    finally:
        _pausing.deadline = before


def defer(wanted: bool) -> None:
    """Let a signal wait for `raise_pending`, so that no step is left half done. The second does not wait."""
    global _deferred
    if not _in_main():
        return
    _deferred = wanted
    if wanted and _active:
        # Lightning has put a handler of its own before ours, which would end training before it is saved.
        signal.signal(signal.SIGTERM, _stop)


def is_pending() -> bool:
    """Whether a signal waits, or the run is to pause, for this thread."""
    return (_pending is not None and _in_main()) or _pausing.due() is not None


def raise_pending(stops: bool) -> None:
    """Raise what a signal that waits asks for, if the run stops.

    Args:
        stops: `is_pending()`, of this process or of another that trains with it.

    Raises:
        KeyboardInterrupt: Ctrl-C came.
        Terminated: SIGTERM or SIGUSR1 came, or another process is told to stop.
        Paused: the run is to pause.
    """
    if stops:
        defer(False)
        raise (_pending if _in_main() else None) or _pausing.due() or Terminated()


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `KeyboardInterrupt` on Ctrl-C, `Terminated` on SIGTERM (under SLURM, SIGUSR1) out of the block.

    Lightning answers Ctrl-C with `sys.exit(1)` and leaves the signal ignored, and outside SLURM it answers
    SIGTERM by stopping as if training were done; both would let an interrupted run pass as finished.
    """
    global _pending, _active, _owner
    _pausing.wanted = None
    # Signals belong to the main thread; elsewhere (a server, a test runner) nothing can be set.
    if not _in_main():
        try:
            yield
        finally:
            _pausing.wanted = None
        return
    before = {number: signal.getsignal(number) for number in _numbers()}
    _pending, _owner = None, os.getpid()
    defer(False)
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
        # The same signal may have ended the processes that load; that is no error of theirs.
        if _pending is not None:
            raise _pending from error
        raise
    finally:
        _pending = _pausing.wanted = None
        _active = False
        defer(False)
        for number, handler in before.items():
            # A handler that was not set by Python code cannot be set by Python code.
            if handler is not None:
                signal.signal(number, handler)


def _in_main() -> bool:
    return threading.current_thread() is threading.main_thread()


def _numbers() -> list[int]:
    """The signals to answer. SIGUSR1 is another's where it has a handler, as submitit's jobs may have."""
    numbers: list[int] = [signal.SIGINT, signal.SIGTERM]
    # Windows has no such signal.
    warning = getattr(signal, "SIGUSR1", None)
    if warning is not None and slurm.job() and signal.getsignal(warning) == signal.SIG_DFL:
        numbers.append(warning)
    return numbers


def _stop(number: int, frame: FrameType | None) -> None:
    global _pending
    if os.getpid() != _owner:
        # A process that loads images inherits this handler, and gets the signal if the whole group does.
        return
    again = _pending is not None
    if _pending is None:
        _pending = KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)
    if again or not _deferred:
        raise _pending
    # Not print: the signal may have come in the middle of one.
    os.write(2, b"graft: stopping after this step; once more to stop at once\n")
