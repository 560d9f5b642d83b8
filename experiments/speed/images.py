"""How fast are images loaded, against torchvision's `ImageFolder` with transforms of PIL images?

    .venv/bin/python experiments/speed/images.py [DATA] [WORKERS]

DATA is a folder of images, a folder a class; without it photographs of 500 x 375 px are made. Small pictures
of 32 px are made in any case. Both ways load the same files with the same workers in one process, an epoch of
theirs, then one of ours; a ratio is images a second of ours by theirs, and the median of some pairs is
printed, with the least and the greatest. With no workers, which is the default, CPU time is taken, so a busy
neighbour counts for little. "First epoch" has the decoding of what is kept in it.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from graft.backbones import Preprocessing
from graft.data import SampleData, SampleDataModule, Splits, training_transform
from graft.sources import image_folder

PAIRS = 5
SCALE = (0.35, 1.0)
PHOTO, SMALL = Preprocessing(resize=256, crop=224), Preprocessing(resize=32, crop=32)


@dataclass(frozen=True)
class Case:
    """One row: what is loaded, how theirs and ours augment it, and what ours keeps.

    Attributes:
        name: what the table calls it.
        goal: the ratio that was aimed at.
        augment: arguments of `training_transform`.
        theirs: torchvision's transforms of PIL images that do the same.
        cache: `data.cache_images`.
        small: pictures of 32 px instead of photographs.
        first: time the first epoch instead of later ones.
    """

    name: str
    goal: float
    augment: dict[str, Any]
    theirs: list[Any]
    cache: str = "auto"
    small: bool = False
    first: bool = False
    ratios: list[float] = field(default_factory=list)


FLIP = v2.RandomHorizontalFlip()
RESIZED = {"crop_scale": SCALE, "horizontal_flip": 0.5, "policy": None}
CROPPED = {"crop_scale": None, "horizontal_flip": 0.5, "policy": None, "crop_padding": 0}
PLAIN = {"crop_scale": None, "horizontal_flip": 0.0, "policy": None}
THEIR_RESIZED = [v2.RandomResizedCrop(224, scale=SCALE, antialias=True), FLIP]
THEIR_CROPPED = [v2.Resize(256, antialias=True), v2.RandomCrop(224), FLIP]
THEIR_PLAIN = [v2.Resize(256, antialias=True), v2.CenterCrop(224)]


def cases() -> list[Case]:
    """All rows of the table."""
    padded = {**CROPPED, "crop_padding": 4}
    return [
        Case("32 px, padded crop and flip, in memory", 12, padded, [v2.RandomCrop(32, 4), FLIP], small=True),
        Case("224 px, random resized crop and flip, in memory", 4.5, RESIZED, THEIR_RESIZED),
        Case("the same, from 256 px, in memory", 4.5, RESIZED, THEIR_RESIZED, "ram"),
        Case("the same, from 256 px, on disk", 4.5, RESIZED, THEIR_RESIZED, "disk"),
        Case("224 px, crop and flip, in memory", 8, CROPPED, THEIR_CROPPED),
        Case("224 px, evaluation, in memory", 9, PLAIN, THEIR_PLAIN),
        Case("224 px, evaluation, on disk", 9, PLAIN, THEIR_PLAIN, "disk"),
        Case("first epoch, the crop resized, nothing kept", 1.3, RESIZED, THEIR_RESIZED, "off", first=True),
        Case("first epoch, the crop resized, in memory", 1.3, RESIZED, THEIR_RESIZED, first=True),
        Case("first epoch, crop and flip, in memory", 1.3, CROPPED, THEIR_CROPPED, first=True),
        Case("first epoch, evaluation, in memory", 1.3, PLAIN, THEIR_PLAIN, first=True),
    ]


def main(data: str | None = None, workers: str = "0") -> None:
    """Time all cases, pair by pair, and print the table."""
    torch.set_num_threads(1)
    with TemporaryDirectory() as temporary:
        os.environ["GRAFT_CACHE_DIR"] = f"{temporary}/cache"
        photos = given(Path(data)) if data else draw(Path(temporary, "photos"), (500, 375), 200)
        small = draw(Path(temporary, "small"), (32, 32), 4000)
        rows = cases()
        for _ in range(PAIRS):
            for case in rows:
                case.ratios.append(ratio(case, small if case.small else photos, int(workers)))
    table = Table("case", "ours / theirs", "of", "goal", title=f"Images a second, {workers} workers")
    for case in rows:
        spread = f"{min(case.ratios):.2f}-{max(case.ratios):.2f}"
        table.add_row(case.name, f"{median(case.ratios):.2f}", spread, f"{case.goal:g}")
    Console(width=110).print(table)


def ratio(case: Case, root: Path, workers: int) -> float:
    """Images a second of ours by theirs, an epoch of each."""
    clock = time.perf_counter if workers else time.process_time
    preprocessing, size = (SMALL, 100) if case.small else (PHOTO, 32)
    to_tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    steps = v2.Compose([*case.theirs, *to_tensor, v2.Normalize(preprocessing.mean, preprocessing.std)])
    theirs = DataLoader(
        ImageFolder(root, steps), size, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    images = image_folder(str(root))
    splits = everything(images)
    ours = SampleDataModule(
        images,
        splits,
        preprocessing,
        partial(training_transform, **case.augment),
        batch_size=size,
        num_workers=workers,
        cache_images=case.cache,
    )
    if case.first:
        return epoch(clock, lambda: theirs) / epoch(clock, ours.train_dataloader)
    loader = ours.train_dataloader()
    # Workers have started, and memory is touched.
    for warm in (theirs, loader):
        next(iter(warm))
    return epoch(clock, lambda: theirs) / epoch(clock, lambda: loader)


def epoch(clock: Callable[[], float], loader: Callable[[], Iterable[Any]]) -> float:
    """Seconds that a loader takes to be made and read."""
    started = clock()
    for _ in loader():
        pass
    return clock() - started


def everything(images: SampleData) -> Splits:
    """All images train."""
    nothing = np.zeros(0, np.int64)
    indices = {"train": np.arange(len(images.samples)), "val": nothing, "test": nothing, "unused": nothing}
    return Splits(indices, "all train")


def given(root: Path) -> Path:
    """The folder of classes: `root`, or the train folder in it."""
    return root / "train" if (root / "train").is_dir() else root


def draw(root: Path, size: tuple[int, int], count: int, classes: int = 10) -> Path:
    """JPEG files of `size` (width, height), with about as much detail as photographs have."""
    stream = np.random.default_rng(0)
    for index in range(count):
        layers = [noise(stream, size, cells) / cells**0.5 for cells in (4, 16, 64, min(size))]
        pixels = np.clip(127 + 160 * np.sum(layers, axis=0), 0, 255).astype(np.uint8)
        folder = root / f"class{index % classes}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{index:05}.jpg", quality=90)
    return root


def noise(stream: np.random.Generator, size: tuple[int, int], cells: int) -> Any:
    """Random colours `(H, W, 3)` from -1 to 1, so many across."""
    coarse = Image.fromarray(stream.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
    return np.asarray(coarse.resize(size, Image.Resampling.BICUBIC)) / 127.5 - 1


if __name__ == "__main__":
    main(*sys.argv[1:])
