"""The program that calls Graft has a life of its own: what a call leaves as it was.

Random streams, warnings, loggers, environment, signals, torch's settings, Hydra: all of these belong to the
process, and a run needs them in its own way.
"""

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from graft.output import lenient_output

# A run seeds the streams of the whole process, so a second one would spoil both: it waits.
_turn = threading.RLock()


def _new_turn() -> None:
    """In a forked process nobody is left who would end the turn."""
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_turn)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Train in the block, one thread at a time; afterwards the process is as it was, whatever happened."""
    with _turn, lenient_output(), warnings.catch_warnings(), _kept_environment(), _kept_loggers():
        import matplotlib as mpl
        import torch

        # A host that draws in LaTeX need not have what our names would need there.
        with (
            kept_random(),
            _kept_torch(),
            plain_torch(),
            torch.inference_mode(False),
            torch.enable_grad(),
            mpl.rc_context({"text.usetex": False}),
        ):
            yield


@contextmanager
def kept_random() -> Iterator[None]:
    """Afterwards torch, NumPy and Python draw as if nothing had been drawn in the block."""
    from graft.training.random_state import random_state, set_random_state

    before = random_state()
    try:
        yield
    finally:
        set_random_state(before)


@contextmanager
def plain_torch() -> Iterator[None]:
    """Within the block new tensors are float32 and on the CPU, whatever the program has chosen."""
    import torch

    dtype = torch.get_default_dtype()
    chosen = torch.get_default_device()
    torch.set_default_dtype(torch.float32)
    try:
        # To say it anyway would slow down every call a little.
        if chosen.type == "cpu":
            yield
        else:
            with torch.device("cpu"):
                yield
    finally:
        torch.set_default_dtype(dtype)


@contextmanager
def _kept_torch() -> Iterator[None]:
    import torch

    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    precision = torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn


@contextmanager
def _kept_environment() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})


@contextmanager
def _kept_loggers() -> Iterator[None]:
    """The level of the one that a run makes quieter."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def hydra_apart() -> Iterator[None]:
    """Let the block use a Hydra of its own; a program that uses Hydra too keeps its options and state."""
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.plugins import Plugins
    from hydra.core.singleton import Singleton
    from hydra.version import VersionBase

    # Those that hold what a program has chosen; the others know plugins, which take time to find.
    own = {GlobalHydra, HydraConfig, VersionBase}
    singleton: Any = Singleton
    with _turn:
        # Found once in a process, when they put their options into the store.
        Plugins.instance()
        store = ConfigStore.instance()
        before, options = singleton._instances, store.repo
        singleton._instances = {kind: found for kind, found in before.items() if kind not in own}
        store.repo = _copied(options)
        try:
            yield
        finally:
            made = {kind: found for kind, found in singleton._instances.items() if kind not in own}
            singleton._instances = {**made, **before}
            store.repo = options


def _copied(options: dict[str, Any]) -> dict[str, Any]:
    """The tree of a ConfigStore, whose leaves nobody changes."""
    return {name: _copied(found) if isinstance(found, dict) else found for name, found in options.items()}
