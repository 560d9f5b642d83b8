"""What a backbone costs: parameters, multiplications, and images a second on this machine."""

import time
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from graft.backbones import Backbone
from graft.backbones.inputs import Input, moved
from graft.data import evaluation_transform
from graft.features.extraction import evaluating
from graft.processes.timing import timed, waiting_for

# Seconds after which no more batches warm up, and after which no more are timed: measuring is to cost little
# beside the pass over a person's images. `graft latency` takes as long as its percentiles want.
SECONDS = 0.3
# Images in a batch on a CPU, at most. More are hardly faster there.
CPU_BATCH = 4


class Cost(NamedTuple):
    """Of the backbone alone, or of its first stages, without a head.

    Attributes:
        parameters: how many there are.
        gmacs: 10⁹ multiply-adds an image: those of convolutions, matrix products and attention.
        images_per_second: forward passes, without reading and decoding.
    """

    parameters: int
    gmacs: float
    images_per_second: float


def cost_of(backbone: Backbone, device: torch.device, batch_size: int) -> Cost:
    """Count and measure, in evaluation mode and single precision, at the size that the backbone sees.

    The backbone is moved to the device, and measured there with batches of so many images, of few on a CPU;
    it is left frozen.
    """
    backbone.to(device)
    parameters = sum(tensor.numel() for tensor in backbone.parameters())
    return Cost(parameters, macs(backbone) / 1e9, images_per_second(backbone, batch_size))


def costs_of_stages(backbone: Backbone, device: torch.device, batch_size: int) -> list[Cost]:
    """As `cost_of`, of the first stage alone, of the first two, and so on, from the same passes."""
    backbone.to(device)
    counts = [sum(tensor.numel() for tensor in stage.parameters()) for stage in backbone.stages.values()]
    speeds = images_per_second_after(backbone, batch_size)
    sums = zip(np.cumsum(counts).tolist(), np.cumsum(macs_of_stages(backbone)).tolist(), speeds, strict=True)
    return [Cost(parameters, count / 1e9, speed) for parameters, count, speed in sums]


def macs(backbone: Backbone) -> int:
    """Multiply-adds for one image, as torch's counter of operations finds them.

    It counts convolutions, matrix products and attention, two operations a multiply-add; additions of biases,
    normalisation, activations and pooling are not counted, nor are they in published figures.
    """
    return sum(macs_of_stages(backbone))


def macs_of_stages(backbone: Backbone) -> list[int]:
    """The same of each stage."""
    # The fused kernel of attention in evaluation mode is one that the counter does not know.
    fused = torch.backends.mha.get_fastpath_enabled()
    # It also takes a parameter that is given to a module for something to differentiate.
    backbone.requires_grad_(False)
    torch.backends.mha.set_fastpath_enabled(False)
    given, counts = _blank(backbone, 1), []
    try:
        with evaluating(backbone), torch.no_grad():
            for stage in backbone.stages.values():
                with FlopCounterMode(display=False) as counter:
                    given = stage(given)
                counts.append(int(counter.get_total_flops()) // 2)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return counts


def images_per_second(backbone: Backbone, batch_size: int) -> float:
    """The batch's size by the median time of a batch."""
    device, blank, count = _batch(backbone, batch_size)
    with evaluating(backbone), torch.inference_mode():
        times = timed(lambda: backbone(blank), waiting_for(device), seconds=SECONDS)
    return count / times.median


def images_per_second_after(backbone: Backbone, batch_size: int) -> list[float]:
    """The same of the first stage alone, of the first two, and so on."""
    device, blank, count = _batch(backbone, batch_size)
    wait, laps = waiting_for(device), []

    def call() -> None:
        given, ends = blank, []
        began = time.perf_counter_ns()
        for stage in backbone.stages.values():
            given = stage(given)
            wait()
            ends.append((time.perf_counter_ns() - began) / 1e9)
        laps.append(ends)

    with evaluating(backbone), torch.inference_mode():
        times = timed(call, seconds=SECONDS)
    # Without those that warmed up.
    medians: list[float] = np.median(laps[-len(times.seconds) :], axis=0).tolist()
    return [count / median for median in medians]


def _batch(backbone: Backbone, batch_size: int) -> tuple[torch.device, Input, int]:
    """Where the backbone is, a batch there that holds nothing, and how many images that is."""
    device = next(iter(backbone.parameters())).device
    count = min(batch_size, CPU_BATCH) if device.type == "cpu" else batch_size
    return device, _blank(backbone, count), count


def _blank(backbone: Backbone, count: int) -> Input:
    """So many inputs that hold nothing, where the backbone is."""
    device = next(iter(backbone.parameters())).device
    return moved(evaluation_transform(backbone.preprocessing).blank(count), device)
