"""Which process a run belongs to, and whether that process is still there."""

import os
import socket
from pathlib import Path
from typing import TypedDict


class Process(TypedDict, total=False):
    """A process: its number, its machine, and when it began, in the kernel's clock ticks.

    A number is given again to another process; the number and the moment together are not.
    """

    pid: int
    host: str
    began: int | None


class Status(Process, total=False):
    """What `status.json` says of a run, and of the process that it belongs to; times are in ISO 8601.

    `slurm` is the job in which the run began, `fingerprint` that of what was asked for, `resumed` how many
    times it went on, and `pruned` after how many epochs a search ended it.
    """

    status: str
    started: str
    ended: str
    reason: str
    slurm: dict[str, str] | None
    fingerprint: str
    resumed: int
    pruned: int


def this_process() -> Process:
    """Which process this is."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "began": _began(os.getpid())}


def alive(status: Status) -> bool:
    """Whether the process that a run's status names is there, as far as this machine can know."""
    pid = status.get("pid")
    if status["status"] != "running" or status.get("host") != socket.gethostname():
        return False
    if not pid or pid == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Another user's process.
        pass
    began = status.get("began")
    return began is None or _began(pid) in (began, None)


def _began(pid: int) -> int | None:
    """Ticks between the start of the machine and that of the process; None where no one says (proc(5))."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # Field 22; the second, a name in brackets, may hold blanks and brackets of its own.
    return int(text.rpartition(")")[2].split()[19])
