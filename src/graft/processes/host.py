"""What a call of Graft's leaves as it was in the program that calls it.

Random streams, warnings, loggers, environment, signals, torch's settings: all of these belong to the process,
and a run needs them in its own way. Hydra's state is in `graft.composition.hydra_apart`.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from graft.composition.hydra_apart import turn
from graft.processes.output import lenient_output


@contextmanager
def undisturbed() -> Iterator[None]:
    """Train in the block, one thread at a time; afterwards the process is as it was, whatever happened."""
    with turn(), lenient_output(), warnings.catch_warnings(), kept_environment(), _kept_loggers():
        import matplotlib as mpl
        import torch

        # A host that draws in LaTeX may not have the packages that our names need.
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
    from graft.processes.random_state import random_state, set_random_state

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
        # Setting it anyway would slow down every call a little.
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
def kept_environment() -> Iterator[None]:
    """Afterwards the environment has the variables that it had."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})


@contextmanager
def _kept_loggers() -> Iterator[None]:
    """Afterwards Lightning's logger, which a run makes quieter, has its level back."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    try:
        yield
    finally:
        logger.setLevel(level)
