"""A program that calls Graft goes on as it was: after a run, a failed one, a load and a prediction."""

import asyncio
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hydra
import matplotlib as mpl
import numpy as np
import pytest
import torch
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.version import VersionBase
from omegaconf import OmegaConf

import graft
from graft import GraftError

ONE_BATCH = ["trainer.max_epochs=1", "trainer.limit_train_batches=1"]
SHORT = ["data.batch_size=8", *ONE_BATCH, "trainer=cpu", "logger=none"]
SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGUSR1


def snapshot() -> dict[str, Any]:
    """All that belongs to the process, in values that can be compared."""
    return {
        "python": random.getstate(),
        "numpy": repr(np.random.get_state()),
        "torch": torch.get_rng_state().tolist(),
        "environment": dict(os.environ),
        "argv": list(sys.argv),
        "folder": os.getcwd(),  # noqa: PTH109
        "warnings": list(warnings.filters),
        "handlers": [signal.getsignal(number) for number in SIGNALS],
        "root logger": (logging.root.level, list(logging.root.handlers)),
        "lightning's logger": logging.getLogger("pytorch_lightning").level,
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.benchmark,
            torch.get_float32_matmul_precision(),
        ),
        "matplotlib": mpl.get_backend(),
        "settings of matplotlib": dict(mpl.rcParams),
        "pyplot": "matplotlib.pyplot" in sys.modules and sys.modules["matplotlib.pyplot"].get_fignums(),
        "hydra": (GlobalHydra.instance().hydra, VersionBase.instance().getbase()),
        "options": sorted(ConfigStore.instance().list("hydra/sweeper")),
        "resolver": OmegaConf.has_resolver("mine"),
        "output": (sys.stdout, sys.stderr, sys.stdout.errors),
        "hooks": (sys.excepthook, threading.excepthook),
    }


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A program with choices of its own."""
    monkeypatch.chdir(tmp_path)
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "app.yaml").write_text("size: ${mine:}\n")
    OmegaConf.register_new_resolver("mine", lambda: 3, replace=True)
    # Else whoever asks first lets matplotlib choose.
    mpl.use("agg")
    before = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    torch.set_num_threads(2)
    torch.set_default_dtype(torch.float64)
    monkeypatch.setenv("PL_GLOBAL_SEED", "77")
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    warnings.filterwarnings("ignore", "mine alone")
    try:
        with hydra.initialize_config_dir(str(conf), version_base="1.2"), torch.no_grad():
            yield
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_num_threads(before[1])
        signal.signal(signal.SIGTERM, before[0])
        OmegaConf.clear_resolver("mine")


def unchanged(call: Callable[[], Any]) -> Any:
    before = snapshot()
    try:
        return call()
    finally:
        after = snapshot()
        assert {key for key in before if before[key] != after[key]} == set()


def test_all_is_left_as_it_was(host: None, photos: Path, trained: Path) -> None:
    # What imports change, they change once.
    import graft.commands.train
    import graft.training

    words = ["data=image_folder", f"data.root={photos}", *SHORT]
    run = unchanged(lambda: graft.train([*words, "trainer.deterministic=true", "seed=9"]))
    assert "test/accuracy" in run.metrics
    model = unchanged(lambda: graft.load(trained))
    image = photos / "red" / "00.png"
    (said,) = unchanged(lambda: model.predict(image))
    torch.set_default_dtype(torch.float32)
    assert graft.load(trained).predict(image)[0] == said

    def fails(words: list[str]) -> None:
        with pytest.raises(GraftError):
            graft.train(words)

    unchanged(lambda: fails([*words, "backbone.image_size=8"]))
    unchanged(lambda: fails(["seed=-1"]))
    assert hydra.compose("app").size == 3


def test_so_does_a_run_that_fails(host: None, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from graft.commands import train as command

    def fit(*_: Any) -> float:
        random.random()
        raise ValueError("in the middle")

    monkeypatch.setattr(command, "fit", fit)

    def fails() -> None:
        with pytest.raises(ValueError, match="in the middle"):
            graft.train(["data=image_folder", f"data.root={photos}", *SHORT])

    unchanged(fails)


def test_from_threads_beside_a_loop(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["data=image_folder", f"data.root={photos}", *SHORT]

    async def program() -> list[graft.runs.RunFolder]:
        # In the loop itself, as a notebook does, then from two threads at once.
        runs = [graft.train(words)]
        with ThreadPoolExecutor(2) as pool:
            loop = asyncio.get_running_loop()
            others = [loop.run_in_executor(pool, graft.train, words) for _ in range(2)]
            return runs + await asyncio.gather(*others)

    runs = asyncio.run(program())
    assert len({run.path for run in runs}) == 3
    assert [run.status()["status"] for run in runs] == ["finished"] * 3
    # Seeded, so alike wherever they ran.
    assert len({(run.bundle / "model.safetensors").read_bytes() for run in runs}) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_takes_its_own_turn_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from graft.composition.composing import _process_id
    from graft.composition.hydra_apart import hydra_apart

    own = _process_id()
    reader, writer = os.pipe()
    with hydra_apart(), warnings.catch_warnings():
        # A program may fork beside threads, at its own risk.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if child == 0:
            with hydra_apart():
                os.write(writer, _process_id().encode())
            os._exit(0)
    os.waitpid(child, 0)
    assert len(told := os.read(reader, 99).decode()) == 6
    assert told != own
