"""Ctrl-C and SIGTERM as exceptions that say what they are, whatever Lightning makes of them."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(SystemExit):
    """SIGTERM: exit status 143."""

    def __init__(self) -> None:
        super().__init__(143)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `KeyboardInterrupt` on Ctrl-C and `Terminated` on SIGTERM out of the block.

    Lightning answers Ctrl-C with `sys.exit(1)` and leaves the signal ignored, and outside SLURM it answers
    SIGTERM by stopping as if training were done; both would let an interrupted run pass as finished.
    """

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    # Signals belong to the main thread; elsewhere (a server, a test runner) nothing can be set.
    in_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if in_main:
        signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except Terminated:
        raise
    except SystemExit as stop:
        raise KeyboardInterrupt from stop
    finally:
        if in_main:
            for number, handler in before.items():
                signal.signal(number, handler)
