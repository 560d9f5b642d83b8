"""How long a call takes: some that warm up, then many whose times are kept one by one. Imports no torch.

Every time that Graft says of a network is measured here. A mean would hide what is slow, the first calls pay
for what is set up once, and images a second of a large batch say nothing of how long one image waits.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

# Calls that are not counted, and calls that are, where time does not bound them.
WARM_UP, CALLS = 20, 200
# As many at least, however long they take.
LEAST_WARM_UP, LEAST = 2, 3


@dataclass(frozen=True)
class Times:
    """What single calls took, in their order, seconds."""

    seconds: tuple[float, ...]

    def percentile(self, per_cent: float) -> float:
        """So many per cent of the calls took no longer, seconds; between two calls it is interpolated."""
        return float(np.percentile(self.seconds, per_cent))

    @property
    def median(self) -> float:
        """The 50th percentile, seconds."""
        return self.percentile(50)


def timed(
    call: Callable[[], object],
    wait: Callable[[], object] = lambda: None,
    *,
    warm_up: int = WARM_UP,
    calls: int = CALLS,
    seconds: float | None = None,
) -> Times:
    """Time single calls.

    Args:
        call: what is timed.
        wait: returns when all that was called is done; part of each call (see `waiting_for`).
        warm_up: calls before, which are not counted.
        calls: that are.
        seconds: of each of the two no more calls are begun after so long, but for a few; None: all are made.
    """
    _clocked(call, wait, warm_up, LEAST_WARM_UP, seconds)
    return Times(tuple(_clocked(call, wait, calls, LEAST, seconds)))


def _clocked(
    call: Callable[[], object], wait: Callable[[], object], most: int, least: int, bound: float | None
) -> list[float]:
    """Seconds of each of `most` calls, of fewer where they exceed the bound together."""
    took: list[float] = []
    wait()
    while len(took) < most and (bound is None or len(took) < least or sum(took) < bound):
        began = time.perf_counter_ns()
        call()
        wait()
        took.append((time.perf_counter_ns() - began) / 1e9)
    return took


def waiting_for(device: "torch.device") -> Callable[[], None]:
    """What returns when a device has done all that it was given; a CPU has, when a call returns."""
    if device.type == "cpu":
        return lambda: None
    import torch

    if device.type == "cuda":
        return partial(torch.cuda.synchronize, device)
    return torch.mps.synchronize if device.type == "mps" else torch.accelerator.synchronize
