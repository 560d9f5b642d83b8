"""Several processes that train one model: how they start, meet, and agree.

Rank 0 alone reads the command line. It starts the others as `python -m graft.cli.follow FOLDER`, which read
the configuration that stands there; where torchrun or srun has started all of them, they wait until rank 0
announces the folder. Lightning finds a process group that exists, and starts nothing.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.plugins.environments import (  # type: ignore[attr-defined]
    LightningEnvironment,
    SLURMEnvironment,
)
from torch import Tensor
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from graft.errors import GraftError
from graft.runs import RunFolder
from graft.runs.launch import launched

# How long a process waits for the others: rank 0 may have a data set to download, or rates to find.
PATIENCE = timedelta(minutes=60)
# How long rank 0 waits, after another process has died, before it gives up what it is doing.
GRACE = 60.0

# Whether this process has met those that a launcher started with it.
_met = False


def count(trainer: Mapping[str, Any]) -> int:
    """How many processes the `trainer` node asks for: one a device, on all nodes.

    Raises:
        GraftError: a launcher has started another number of processes, or there are nodes without one.
    """
    devices, launch = trainer["devices"], launched()
    nodes: int = trainer.get("num_nodes", 1)
    if isinstance(devices, list):
        here = len(devices)
    elif devices in ("auto", -1):
        here = launch.size // nodes if launch else max(1, _gpus(trainer["accelerator"]))
    else:
        here = int(devices)
    if launch and launch.size != here * nodes:
        raise GraftError(
            f"{launch.by} has started {launch.size} processes, but trainer.devices={devices} on "
            f"trainer.num_nodes={nodes} means {here * nodes}; trainer=ddp takes as many as there are"
        )
    if nodes > 1 and not launch:
        raise GraftError(f"trainer.num_nodes={nodes} needs torchrun or srun, which start processes on each")
    return here * nodes


def lone_trainer(accelerator: str, devices: Any = 1, **settings: Any) -> pl.Trainer:
    """A Trainer for this process alone, whatever others there are or will be; it logs and keeps nothing.

    Args:
        accelerator: as Lightning names it.
        devices: `trainer.devices`, of which the first is taken.
        settings: more of the Trainer's.
    """
    return pl.Trainer(
        accelerator=accelerator,
        devices=devices[:1] if isinstance(devices, list) else 1,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        # Else Lightning would count the tasks that SLURM's variables speak of.
        plugins=[LightningEnvironment()],
        **settings,
    )


def _gpus(accelerator: str) -> int:
    return torch.cuda.device_count() if accelerator in ("auto", "gpu", "cuda") else 0


@contextmanager
def together(size: int, folder: RunFolder, checkpoint: Path | None) -> Iterator[None]:
    """Rank 0 of `size` processes: all are in one group while this lasts, and the others train with it.

    Args:
        size: 1: nothing happens.
        folder: the run folder, in which `config.yaml` stands by now.
        checkpoint: what the run goes on from.

    Raises:
        GraftError: another process ended before its time.
    """
    if size == 1:
        yield
        return
    if launched():
        meet()
        dist.broadcast_object_list([str(folder.path), str(checkpoint or "")], device=torch.device("cpu"))
        try:
            yield
        finally:
            dist.destroy_process_group()
        return
    # On a free port of the system's choice, so that two runs side by side never take the same.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    here = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "WORLD_SIZE": str(size)}
    with _environment({**here, "NODE_RANK": "0", "LOCAL_RANK": "0"}):
        others = _start(size, folder, checkpoint)
        ended = threading.Event()
        try:
            _wait_until_ready(store, others)
            threading.Thread(target=_watch, args=(others, ended, folder), daemon=True).start()
            _join(store, 0, size)
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


def _start(size: int, folder: RunFolder, checkpoint: Path | None) -> list["subprocess.Popen[bytes]"]:
    """Start ranks 1 to `size` - 1; they find what this process can import."""
    command = [sys.executable, "-m", "graft.cli.follow", str(folder.path), str(checkpoint or "")]
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TORCH_CPP_LOG_LEVEL": "ERROR"}
    return [
        subprocess.Popen(
            command, env={**os.environ, **paths, "LOCAL_RANK": str(rank)}, stdin=subprocess.DEVNULL
        )
        for rank in range(1, size)
    ]


def _wait_until_ready(store: TCPStore, others: Sequence["subprocess.Popen[bytes]"]) -> None:
    while not store.check([f"ready/{rank}" for rank in range(1, len(others) + 1)]):
        _raise_if_dead(others)
        time.sleep(0.1)


def _raise_if_dead(others: Sequence["subprocess.Popen[bytes]"], cause: BaseException | None = None) -> None:
    for rank, other in enumerate(others, start=1):
        if status := other.poll():
            said = "what it said stands above"
            raise GraftError(f"process {rank} of the run ended with exit status {status}; {said}") from cause


def _watch(others: Sequence["subprocess.Popen[bytes]"], ended: threading.Event, folder: RunFolder) -> None:
    """End the run where rank 0 waits on a GPU for a process that is no more, and so cannot end it itself."""
    while not ended.wait(1):
        if any(other.poll() for other in others) and not ended.wait(GRACE):
            folder.set_status("failed", reason="another process of the run ended before its time")
            os._exit(1)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Have these variables while this lasts: the next job of a sweep begins without them."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def join_started() -> None:
    """Any other rank that rank 0 has started: say that it is ready, and join. It ends if rank 0 does."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    rank, size = int(os.environ["LOCAL_RANK"]), int(os.environ["WORLD_SIZE"])
    store = TCPStore("127.0.0.1", int(os.environ["MASTER_PORT"]), is_master=False)
    store.set(f"ready/{rank}", "")
    _join(store, rank, size)


def _join(store: TCPStore, rank: int, size: int) -> None:
    dist.init_process_group(
        _backend(), store=PrefixStore("ranks", store), rank=rank, world_size=size, timeout=PATIENCE
    )


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
    dist.init_process_group(_backend(), rank=launch.rank, world_size=launch.size, timeout=patience)


def announced() -> tuple[RunFolder, Path | None] | None:
    """What rank 0 announces: the run folder, and what the run goes on from; None: no run."""
    told: list[Any] = [None, None]
    dist.broadcast_object_list(told, device=torch.device("cpu"))
    if told[0] is None:
        # Else its threads may outlive the interpreter, and the process end with SIGABRT.
        dist.destroy_process_group()
        return None
    return RunFolder.open(told[0]), Path(told[1]) if told[1] else None


def dismiss() -> None:
    """Rank 0, at its end: let those go that wait for a run, where there was none to announce."""
    if not _met:
        # They may be gone already; then nobody is kept waiting for long.
        with suppress(dist.DistError):
            meet(timedelta(minutes=1))
            dist.broadcast_object_list([None, None], device=torch.device("cpu"))
            dist.destroy_process_group()


def _backend() -> str:
    """Gloo carries what stands in main memory, NCCL what stands on GPUs."""
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"


def environment() -> list[Any]:
    """What Lightning should be told of the processes; those of torchrun it finds by itself.

    It is not told of SLURM where that has started one process, whatever tasks its variables count; and where
    there are more, that SIGUSR1 is ours: its own answer would save and requeue in the middle of a step.
    """
    launch = launched()
    if launch and launch.by == "srun":
        return [SLURMEnvironment(auto_requeue=False)]
    return [] if launch else [LightningEnvironment()]


def check_same(*what: Any) -> None:
    """Refuse to train where the processes hold different configurations or data.

    Args:
        what: plain values that must be the same on all.

    Raises:
        GraftError: they are not.
    """
    own = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
    if len(set(gathered(own))) > 1:
        raise GraftError("the processes of this run do not see the same configuration and data")


def size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is."""
    return dist.get_rank() if dist.is_initialized() else 0


def gathered(value: Any) -> list[Any]:
    """What every process gives, in the order of their ranks; all must call this."""
    if size() == 1:
        return [value]
    found: list[Any] = [None] * size()
    dist.all_gather_object(found, value)
    return found


def summed(value: Tensor) -> Tensor:
    """The sum over all processes of a tensor of one shape; all must call this."""
    if size() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def of_first(value: Tensor) -> Tensor:
    """What the first process has in the place of `value`, which is of one shape; all must call this."""
    if size() == 1:
        return value
    known = value.detach().clone()
    dist.broadcast(known, 0)
    return known


def any_of(*flags: bool) -> list[bool]:
    """Of each flag whether any process says so; all must call this."""
    return list(flags) if size() == 1 else (summed(torch.tensor(flags, dtype=torch.int64)) > 0).tolist()
