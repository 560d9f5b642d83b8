"""An engine in a process of its own, asked from here (see `timed_engine`)."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from graft.errors import GraftError


class EngineProcess:
    """A process that waits for requests, and works only while it is asked."""

    def __init__(self, process: "subprocess.Popen[str]", said: Path) -> None:
        self._process = process
        self._said = said

    def ask(self, **request: object) -> Any:
        """What it answers.

        Raises:
            GraftError: it ended; the message is the last that it said.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            status = self._process.wait()
            lines = self._said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise GraftError(lines[-1].strip() if lines else f"its process ended with status {status}")
        return json.loads(line)


@contextmanager
def engine_process(job: Mapping[str, object], scratch: Path, name: str) -> Iterator[EngineProcess]:
    """A process for the block that `job` describes; `scratch` is a folder for what it is told and says."""
    told, said = scratch / f"{name}.json", scratch / f"{name}.log"
    told.write_text(json.dumps(job), encoding="utf-8")
    threads = str(job["threads"])
    # Before any library that counts cores is loaded. It finds packages where this process finds them.
    settings = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    settings["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    with said.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "graft.deploy.timed_engine", str(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            env={**os.environ, **settings},
        )
    try:
        yield EngineProcess(process, said)
    finally:
        process.kill()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            # What a request left in the pipe of a process that is gone is of no use.
            with suppress(BrokenPipeError):
                stream.close()
        process.wait()
