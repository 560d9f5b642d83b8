"""Does a GPU get its work as fast from Graft as from a bare PyTorch loop?

    .venv/bin/python experiments/speed/gpu.py [ACCELERATOR] [BATCH] [SIDE] [STEPS]

Fine-tunes the whole of ResNet-50, at batch 256 and 224 px, both ways with bf16 autocast, channels_last,
cuDNN's benchmark and fused AdamW: on images that are on the device already, and on uint8 images in pinned
memory, which are copied without waiting and normalised on the device. Images a second of ours by theirs, of
the wall clock, median of some rounds; the goal is 0.97. `cpu 4 64 3` tries the script where there is no GPU.
"""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from graft.backbones import torchvision_backbone
from graft.composition.composing import compose
from graft.configuration.building import build_later
from graft.configuration.run_config import RunConfig
from graft.freezing import FreezePlan, Full
from graft.freezing.apply import FreezeCallback
from graft.models import linear
from graft.reporting.loggers.epoch_table import EpochTable
from graft.tasks import SingleLabel
from graft.training import TransferModule, assembly
from graft.training.trainer import make_callbacks, make_loggers, make_trainer

CLASSES, LR, ROUNDS = 1000, 1e-4, 3


class Batches:
    """An epoch of batches; notes the time of the first request and of the last, when the device is done."""

    def __init__(self, device: torch.device, batch: int, side: int, steps: int, cached: bool) -> None:
        self.device, self.batch, self.steps, self.cached = device, batch, steps, cached
        self.labels = torch.randint(0, CLASSES, (batch,), device=device)
        self.images = torch.randint(0, 256, (2 * batch, 3, side, side), dtype=torch.uint8)
        if not cached:
            self.images = normalised(self.images[:batch].to(device))
        elif device.type == "cuda":
            self.images = self.images.pin_memory()
        self.seconds = 0.0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        # The first steps choose cuDNN's algorithms.
        warm = min(10, self.steps // 3)
        started = 0.0
        for step in range(self.steps):
            if step in (warm, self.steps - 1):
                if self.device.type == "cuda":
                    torch.cuda.synchronize()
                started, self.seconds = time.perf_counter(), (time.perf_counter() - started)
            images = self.images
            if self.cached:
                at = (step % 2) * self.batch
                images = normalised(images[at : at + self.batch].to(self.device, non_blocking=True))
            yield {"input": images, "target": self.labels, "index": self.labels}
        self.seconds /= self.steps - 1 - warm


def normalised(pixels: Tensor) -> Tensor:
    """Uint8 `(N, 3, H, W)` to about -2 to 2, NHWC in memory."""
    return pixels.float().div_(64).sub_(2).contiguous(memory_format=torch.channels_last)


def bare(data: Batches, folder: Path) -> float:
    """Seconds a step of a plain loop."""
    backbone = torchvision_backbone("resnet50", None)
    network: nn.Module = nn.Sequential(backbone, linear(backbone.width, CLASSES))
    network = network.to(data.device).to(memory_format=torch.channels_last)
    fused = data.device.type == "cuda"
    optimizer = torch.optim.AdamW(network.parameters(), LR, fused=fused)
    torch.backends.cudnn.benchmark = True
    for batch in data:
        optimizer.zero_grad()
        with torch.autocast(data.device.type, torch.bfloat16):
            logits = network(batch["input"])
        loss = nn.functional.cross_entropy(logits.float(), batch["target"])
        torch.autograd.backward(loss)
        optimizer.step()
    return data.seconds


def ours(data: Batches, folder: Path) -> float:
    """Seconds a step of what `graft train` sets up."""
    words = [f"trainer={'gpu' if data.device.type == 'cuda' else 'cpu'}", "trainer.precision=bf16-mixed"]
    words += ["trainer.max_epochs=1", "trainer.benchmark=true", "channels_last=true"]
    config = RunConfig.of(compose("train", words)[0])
    backbone = torchvision_backbone("resnet50", None)
    plan = FreezePlan(Full(), backbone.stages, 1)
    module = TransferModule(
        backbone,
        linear(backbone.width, CLASSES),
        task=SingleLabel([str(label) for label in range(CLASSES)]),
        optimizer=assembly.make_optimizer(config),
        schedule=build_later(config.scheduler, "scheduler"),
        rates={"lr": LR, "head_lr": None, "weight_decay": 0.01, "layer_decay": 1.0},
        plan=plan,
        channels_last=True,
    )
    callbacks = [FreezeCallback(plan), *make_callbacks(config, folder, validated=False)]
    loggers = [*make_loggers(config, folder), EpochTable(folder / "metrics.csv")]
    make_trainer(config, folder, callbacks, loggers).fit(module, data)
    return data.seconds


def main(accelerator: str = "cuda", batch: str = "256", side: str = "224", steps: str = "60") -> None:
    """Time both, round by round, and print the table."""
    if accelerator == "cuda" and not torch.cuda.is_available():
        print("gpu.py: there is no GPU here, so nothing was measured")
        return
    device = torch.device(accelerator)
    name = torch.cuda.get_device_name() if accelerator == "cuda" else accelerator
    table = Table("", "bare", "ours", "ours / bare", title=f"Images a second, ResNet-50, {name}")
    for title, cached in (("synthetic, on the device", False), ("uint8 in memory", True)):
        make = partial(Batches, device, int(batch), int(side), int(steps), cached)
        found = [measured(make) for _ in range(ROUNDS)]
        speeds = (f"{int(batch) / median(column):.0f}" for column in zip(*found, strict=True))
        ratio = median(theirs / own for theirs, own in found)
        table.add_row(title, *speeds, f"{ratio:.3f}")
    Console(width=110).print(table)


def measured(make: Callable[[], Batches]) -> tuple[float, float]:
    """Seconds a step, theirs and ours."""
    with TemporaryDirectory() as folder:
        return bare(make(), Path(folder)), ours(make(), Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
