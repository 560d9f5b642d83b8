"""What a backbone costs: parameters, multiplications, and images a second on this machine."""

import time
from statistics import median
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from graft.backbones import Backbone
from graft.backbones.inputs import Input, moved
from graft.data import evaluation_transform
from graft.features.extraction import evaluating

# Batches that are not counted, and least seconds and batches that are.
WARM_UP = 2
SECONDS = 0.3
BATCHES = 3
# Images in a batch on a CPU, at most. More are hardly faster there, and measuring is to cost little beside
# the pass over a person's images.
CPU_BATCH = 4


class Cost(NamedTuple):
    """Of the backbone alone, without a head.

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


def macs(backbone: Backbone) -> int:
    """Multiply-adds for one image, as torch's counter of operations finds them.

    It counts convolutions, matrix products and attention, two operations a multiply-add; additions of biases,
    normalisation, activations and pooling are not counted, nor are they in published figures.
    """
    counter = FlopCounterMode(display=False)
    # The fused kernel of attention in evaluation mode is one that the counter does not know.
    fused = torch.backends.mha.get_fastpath_enabled()
    # It also takes a parameter that is given to a module for something to differentiate.
    backbone.requires_grad_(False)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with evaluating(backbone), torch.no_grad(), counter:
            backbone(_blank(backbone, 1))
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops()) // 2


def images_per_second(backbone: Backbone, batch_size: int) -> float:
    """The batch's size by the median time of a batch, after some that warm up."""
    device = next(iter(backbone.parameters())).device
    count = min(batch_size, CPU_BATCH) if device.type == "cpu" else batch_size
    blank = _blank(backbone, count)
    seconds: list[float] = []
    with evaluating(backbone), torch.inference_mode():
        for _ in range(WARM_UP):
            _timed(backbone, blank, device)
        while len(seconds) < BATCHES or sum(seconds) < SECONDS:
            seconds.append(_timed(backbone, blank, device))
    return count / median(seconds)


def _timed(backbone: Backbone, given: Input, device: torch.device) -> float:
    """Seconds of one forward pass, waited for."""
    started = time.perf_counter()
    backbone(given)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter() - started


def _blank(backbone: Backbone, count: int) -> Input:
    """So many inputs that hold nothing, where the backbone is."""
    device = next(iter(backbone.parameters())).device
    return moved(evaluation_transform(backbone.preprocessing).blank(count), device)
