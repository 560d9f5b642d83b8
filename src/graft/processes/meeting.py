"""How the processes of one run meet, and learn which run it is.

The first process alone reads the command line. Those that it has started read the run folder, which they are
given; those that torchrun or srun has started wait until the first announces it. Lightning finds a process
group that exists, and starts nothing.
"""

import os
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from pytorch_lightning.plugins.environments import SLURMEnvironment  # type: ignore[attr-defined]
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from graft.runs import RunFolder
from graft.runs.launch import launched

# How long a process waits for the others: the first may have a data set to download, or rates to find.
PATIENCE = timedelta(minutes=60)

# Whether this process has met those that a launcher started with it.
_met = False


def join(store: TCPStore, index: int, size: int) -> None:
    """Become process `index` of `size`, which meet in `store`."""
    dist.init_process_group(
        _backend(), store=PrefixStore("processes", store), rank=index, world_size=size, timeout=PATIENCE
    )


def ready_key(index: int) -> str:
    """Where in the store process `index` says that it can join."""
    return f"ready/{index}"


def join_first() -> None:
    """Any process that the first has started: say that it is ready, and join. It ends if the first does."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    index, size = int(os.environ["LOCAL_RANK"]), int(os.environ["WORLD_SIZE"])
    store = TCPStore("127.0.0.1", int(os.environ["MASTER_PORT"]), is_master=False)
    store.set(ready_key(index), "")
    join(store, index, size)


def meet(patience: timedelta = PATIENCE) -> None:
    """Join those that torchrun or srun has started."""
    global _met
    launch = launched()
    assert launch is not None
    _met = True
    if launch.by == "srun":
        slurm = SLURMEnvironment(auto_requeue=False)
        os.environ.setdefault("MASTER_ADDR", slurm.main_address)
        os.environ.setdefault("MASTER_PORT", str(slurm.main_port))
    dist.init_process_group(_backend(), rank=launch.number, world_size=launch.size, timeout=patience)


def announce(folder: RunFolder | None, checkpoint: Path | None) -> None:
    """The first process: tell those that wait the run folder, and what the run goes on from; None: no run."""
    paths = [None if folder is None else str(folder.path), None if checkpoint is None else str(checkpoint)]
    dist.broadcast_object_list(paths, device=torch.device("cpu"))


def announced() -> tuple[RunFolder, Path | None] | None:
    """What the first process announces: the run folder, and what the run goes on from; None: no run."""
    paths: list[str | None] = [None, None]
    dist.broadcast_object_list(paths, device=torch.device("cpu"))
    folder, checkpoint = paths
    if folder is None:
        # Else its threads may outlive the interpreter, and the process end with SIGABRT.
        dist.destroy_process_group()
        return None
    return RunFolder.open(folder), Path(checkpoint) if checkpoint else None


def dismiss() -> None:
    """The first process, at its end: let those go that wait for a run, where there was none to announce."""
    if not _met:
        # They may be gone already, so the wait is short.
        with suppress(dist.DistError):
            meet(timedelta(minutes=1))
            announce(None, None)
            dist.destroy_process_group()


def _backend() -> str:
    """Gloo carries what stands in main memory, NCCL what stands on GPUs."""
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
