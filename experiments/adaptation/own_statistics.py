"""What it costs a retrained network to take its BatchNorm statistics anew, from its own training images.

`python experiments/adaptation/own_statistics.py outputs/adaptation`, where `adaptation.py` has left the runs
of its part `corrupted`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from graft.models import Bundle, load_bundle
from graft.training.running_statistics import take_statistics

BATCH = 100


def main() -> None:
    """Test the source's network as it is, and with statistics of the source's training images."""
    runs = Path(sys.argv[1])
    bundle = load_bundle(runs / "cifar10-to-low-contrast-none-plain-0")
    source = runs / "cifar-as-is-0"
    print(f"as it is: {accuracy(bundle, source / 'test'):.1%}")
    names = [name for name, layer in bundle.model.named_modules() if isinstance(layer, nn.BatchNorm2d)]
    images = sorted((source / "train").rglob("*.png"))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0)).tolist()
    batches: Iterator[Any] = (
        {"input": bundle.finished([bundle.prepare(images[n]) for n in order[start : start + BATCH]])}
        for start in range(0, len(images), BATCH)
    )
    take_statistics(bundle.model, names, batches, lambda batch: bundle.model(batch["input"]))
    print(f"statistics taken anew: {accuracy(bundle, source / 'test'):.1%}")


def accuracy(bundle: Bundle, folder: Path) -> float:
    """On the images of a folder of class folders."""
    images = sorted(folder.rglob("*.png"))
    said = bundle.predict(images, BATCH)
    return sum(one.label == path.parent.name for one, path in zip(said, images, strict=True)) / len(images)


if __name__ == "__main__":
    main()
