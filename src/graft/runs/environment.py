"""Where a run took place: versions, hardware, git commit. For the record, never for decisions."""

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import distributions

from graft.configuration.version import DISTRIBUTION, __version__


def describe_environment() -> dict[str, object]:
    """Plain values that say what ran, on what, from which commit and with which packages."""
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": cores(),
        "git": _git(),
        "packages": _packages(),
    }


def cores() -> int:
    """The cores that this process may use, which in a container or under SLURM are not all there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _packages() -> dict[str, str]:
    # Once a process: a sweep's jobs have the same packages, and reading them takes a quarter of a second.
    installed = {d.name: d.version for d in distributions() if d.name}
    # The version of this code, which may differ from the installed one.
    return dict(sorted({**installed, DISTRIBUTION: __version__}.items()))


def processor() -> str:
    """The name of the processor; empty where nothing says it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def megahertz() -> float | None:
    """The rate at which a core runs now, which changes with heat and load; None where nothing says it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            rates = [float(line.split(":", 1)[1]) for line in file if line.startswith("cpu MHz")]
    except (OSError, ValueError):
        return None
    return max(rates, default=None)


def _git() -> dict[str, str | bool] | None:
    """Commit of the working folder and whether it had uncommitted changes; None outside a repository."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None
