"""Calls are timed one by one: those that warm up are left out, and nothing is averaged."""

import subprocess
import sys

import pytest
import torch

from graft.processes import timing
from graft.processes.timing import Times, timed, waiting_for


@pytest.fixture
def clock(monkeypatch):
    """A clock that only calls move; makes a call that takes the given seconds, one after the other."""
    now = [0]
    monkeypatch.setattr(timing.time, "perf_counter_ns", lambda: now[0])

    def takes(*seconds):
        left = iter(seconds)

        def call():
            now[0] += round(next(left) * 1e9)

        return call

    return takes


def test_what_warms_up_is_not_counted(clock) -> None:
    times = timed(clock(*[9.0] * 20, *[0.5] * 200))
    assert times.seconds == (0.5,) * 200


def test_waiting_is_part_of_a_call(clock) -> None:
    """A device that is only told what to do answers at once."""
    times = timed(lambda: None, clock(5, 5, 5, 5, 1, 2, 3), warm_up=2, calls=3)
    assert times.seconds == (1, 2, 3)


def test_time_bounds_both_but_for_a_few(clock) -> None:
    assert timed(clock(*[1] * 5), seconds=0).seconds == (1, 1, 1)
    # Four warm up, until a second is over, and eight are timed.
    assert len(timed(clock(*[0.25] * 8), seconds=1).seconds) == 4


def test_the_percentiles_are_of_single_calls() -> None:
    times = Times((*[0.01] * 197, 0.05, 0.5, 9.0))
    assert times.median == 0.01
    assert times.percentile(95) == 0.01
    assert 0.05 <= times.percentile(99) <= 0.5


def test_on_a_cpu_there_is_nothing_to_wait_for() -> None:
    assert waiting_for(torch.device("cpu"))() is None


def test_a_process_that_times_need_not_import_torch() -> None:
    code = "import sys, graft.processes.timing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
