"""Having jobs run by one of Hydra's launchers, and saying what became of each."""

import io
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from types import FrameType
from typing import NamedTuple

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher

from graft.errors import reason_of
from graft.sweeps.submitted import each_for_itself


class Outcome(NamedTuple):
    """What became of one job: what its command returned, or in `reason` why it failed.

    Nobody knows what became of one that a launcher `lost`.
    """

    returned: object = None
    reason: str | None = None
    lost: bool = False


def launch(launcher: Launcher, batch: Sequence[Sequence[str]], first: int) -> list[Outcome]:
    """Run jobs with these words, each to its end, whatever becomes of the others; `first` numbers the first.

    Raises:
        KeyboardInterrupt: Ctrl-C came.
        SystemExit: SIGTERM came.
    """
    if not batch:
        return []
    # Other launchers have no part of submitit, whose import costs half a second.
    submitted = "submitit" in type(launcher).__module__
    with each_for_itself() if submitted else nullcontext(), _terminable():
        try:
            returns = launcher.launch([list(words) for words in batch], initial_job_idx=first)
        except Exception as error:
            # A launcher that lost a worker with all that it was to do.
            return [Outcome(reason=f"its launcher stopped: {reason_of(error)}", lost=True)] * len(batch)
    return [_outcome(answer) for answer in returns]


def _outcome(answer: JobReturn) -> Outcome:
    try:
        # Hydra announces a failed job's error on stderr, which has been said.
        with redirect_stderr(io.StringIO()):
            return Outcome(answer.return_value)
    except Exception as error:
        return Outcome(reason=reason_of(error))


@contextmanager
def _terminable() -> Iterator[None]:
    """Raise `SystemExit(143)` on SIGTERM between and beside jobs; one that trains here has its own answer."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
