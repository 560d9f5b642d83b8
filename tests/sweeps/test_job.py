"""What a failed job leaves: a reason in one line, and nothing that its memory hangs on."""

import gc
import pickle
import weakref

import pytest

from graft import errors
from graft.commands import command
from graft.errors import GraftError, reason_of
from graft.sweeps.job import Job, _forget


class Network:
    pass


def failing(kept: list[weakref.ref[Network]]) -> None:
    network = Network()
    kept.append(weakref.ref(network))
    raise RuntimeError("no memory")


def test_an_error_that_is_kept_keeps_nothing_else() -> None:
    kept: list[weakref.ref[Network]] = []
    error = GraftError("failed")
    try:
        failing(kept)
    except RuntimeError as cause:
        error.__cause__ = cause
    gc.collect()
    assert kept[0]() is not None
    _forget(error)
    gc.collect()
    assert kept[0]() is None


def test_errors_that_stand_in_a_circle_are_forgotten_too() -> None:
    first, second = RuntimeError("first"), RuntimeError("second")
    first.__cause__, second.__context__ = second, first
    _forget(first)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (GraftError("seed=-1 is wrong"), "seed=-1 is wrong"),
        (RuntimeError("\n first line\nsecond"), "RuntimeError: first line"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_a_reason_is_one_line(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_a_job_says_errors_elsewhere_as_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "WANTS_TRACEBACKS", False)
    sent = pickle.dumps(Job("train", command))
    # A process that was started with the variable that Hydra's own errors need.
    monkeypatch.setattr(errors, "WANTS_TRACEBACKS", True)
    pickle.loads(sent)
    assert not errors.WANTS_TRACEBACKS
