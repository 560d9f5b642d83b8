"""Starting the processes that train one model together, and ending them.

The first process starts the others as `python -m graft.cli.follow FOLDER`, which read the configuration that
stands there; where torchrun or srun has started all of them, there is nothing to start.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from graft.errors import GraftError
from graft.processes.host import kept_environment
from graft.processes.meeting import announce, join, meet, ready_key
from graft.runs import RunFolder
from graft.runs.launch import launched

# How long the first process waits, after another has died, before it gives up what it is doing.
GRACE = 60.0
Others = Sequence["subprocess.Popen[bytes]"]


def count(trainer: Mapping[str, Any]) -> int:
    """How many processes the `trainer` node asks for: one a device, on all nodes.

    Raises:
        GraftError: a launcher has started another number of processes, or there are nodes without one.
    """
    devices, launch = trainer["devices"], launched()
    nodes: int = trainer.get("num_nodes", 1)
    if isinstance(devices, list):
        per_node = len(devices)
    elif devices in ("auto", -1):
        gpus = torch.cuda.device_count() if trainer["accelerator"] in ("auto", "gpu", "cuda") else 0
        per_node = launch.size // nodes if launch else max(1, gpus)
    else:
        per_node = int(devices)
    if launch and launch.size != per_node * nodes:
        raise GraftError(
            f"{launch.by} has started {launch.size} processes, but trainer.devices={devices} on "
            f"trainer.num_nodes={nodes} means {per_node * nodes}; trainer=ddp takes as many as there are"
        )
    if nodes > 1 and not launch:
        raise GraftError(f"trainer.num_nodes={nodes} needs torchrun or srun, which start processes on each")
    return per_node * nodes


@contextmanager
def together(size: int, folder: RunFolder, checkpoint: Path | None) -> Iterator[None]:
    """The first of `size` processes: all are in one group while this lasts, and the others train with it.

    Raises:
        GraftError: another process ended before its time.
    """
    if size == 1:
        yield
    elif launched():
        meet()
        announce(folder, checkpoint)
        try:
            yield
        finally:
            dist.destroy_process_group()
    else:
        with _with_others(size, folder, checkpoint):
            yield


@contextmanager
def _with_others(size: int, folder: RunFolder, checkpoint: Path | None) -> Iterator[None]:
    # On a free port of the system's choice, so that two runs side by side never take the same.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    # The next job of a sweep begins without these variables.
    with kept_environment():
        os.environ.update(
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=str(store.port),
            WORLD_SIZE=str(size),
            NODE_RANK="0",
            LOCAL_RANK="0",
        )
        others = _start(size, folder, checkpoint)
        ended = threading.Event()
        try:
            _wait_until_ready(store, others)
            threading.Thread(target=_watch, args=(others, ended, folder), daemon=True).start()
            join(store, 0, size)
            yield
        except Exception as error:
            # The end of a connection is seen a moment before the end of the process.
            time.sleep(1)
            _raise_if_dead(others, error)
            raise
        else:
            dist.destroy_process_group()
            with suppress(subprocess.TimeoutExpired):
                for other in others:
                    other.wait(GRACE)
        finally:
            ended.set()
            for other in others:
                other.kill()
                other.wait()
            if dist.is_initialized():
                dist.destroy_process_group()


def _start(size: int, folder: RunFolder, checkpoint: Path | None) -> Others:
    """Start the processes 1 to `size` - 1; they find what this process can import."""
    command = [sys.executable, "-m", "graft.cli.follow", str(folder.path), str(checkpoint or "")]
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TORCH_CPP_LOG_LEVEL": "ERROR"}
    return [
        subprocess.Popen(
            command, env={**os.environ, **paths, "LOCAL_RANK": str(index)}, stdin=subprocess.DEVNULL
        )
        for index in range(1, size)
    ]


def _wait_until_ready(store: TCPStore, others: Others) -> None:
    while not store.check([ready_key(index) for index in range(1, len(others) + 1)]):
        _raise_if_dead(others)
        time.sleep(0.1)


def _raise_if_dead(others: Others, cause: BaseException | None = None) -> None:
    for index, other in enumerate(others, start=1):
        if status := other.poll():
            said = "what it said stands above"
            raise GraftError(f"process {index} of the run ended with exit status {status}; {said}") from cause


def _watch(others: Others, ended: threading.Event, folder: RunFolder) -> None:
    """End the run if the first process waits on a GPU for one that is gone, since it cannot end itself."""
    while not ended.wait(1):
        if any(other.poll() for other in others) and not ended.wait(GRACE):
            folder.set_status("failed", reason="another process of the run ended before its time")
            os._exit(1)
