"""A process is known again by its number and the moment at which it began."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graft.runs.process import _began, alive, this_process

HERE = socket.gethostname()
told = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="this system says no process's beginning"
)


def status(**facts: Any) -> dict[str, Any]:
    return {"status": "running", "host": HERE, **facts}


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process, with a name that is hard to read."""
    odd = tmp_path / "a) R 1 (b"
    odd.symlink_to(shutil.which("sleep") or "sleep")
    with subprocess.Popen([odd, "60"]) as process:
        yield process
        process.kill()


def test_a_process_is_alive_until_it_ends(other: subprocess.Popen[bytes]) -> None:
    named = status(pid=other.pid, began=_began(other.pid))
    assert alive(named)
    other.kill()
    other.wait()
    assert not alive(named)


@told
def test_another_process_of_that_number_is_another(other: subprocess.Popen[bytes]) -> None:
    began = _began(other.pid)
    assert began is not None
    assert began >= (_began(os.getpid()) or 0)
    assert not alive(status(pid=other.pid, began=began - 1))


def test_what_is_not_known_does_not_pass_for_dead(other: subprocess.Popen[bytes]) -> None:
    # As an older Graft, or a system without /proc, records it.
    assert alive(status(pid=other.pid))
    assert alive(status(pid=other.pid, began=None))


@pytest.mark.parametrize("facts", [{"host": "elsewhere"}, {"status": "failed"}, {"pid": None}])
def test_a_process_elsewhere_or_none_is_not_alive(
    other: subprocess.Popen[bytes], facts: dict[str, Any]
) -> None:
    assert not alive(status(**{"pid": other.pid, "began": _began(other.pid), **facts}))


def test_this_process_is_no_other_that_trains() -> None:
    assert this_process()["pid"] == os.getpid()
    assert not alive(status(**this_process()))
