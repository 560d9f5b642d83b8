"""The reference: the same network in a plain PyTorch loop; nothing of Graft's but the reading of files.

    .venv/bin/python experiments/lenet_cifar10/plain.py <cifar10 folder> <folder of runs>

Prints the accuracy on the test images for three seeds, and writes it to `plain.csv` there.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from graft.data import Samples
from graft.runs.files import write_csv
from graft.sources import image_folder

SEEDS = (0, 1, 2)
EPOCHS, BATCH = 10, 100


def main(root: str, runs: str) -> None:
    """Train and test with each seed."""
    rows = []
    parts = image_folder(root).parts
    train, test = (tensors(parts[name]) for name in ("train", "test"))
    for seed in SEEDS:
        rows.append({"way": "plain", "seed": seed, "test/accuracy": accuracy(fit(*train, seed), *test)})
        print(rows[-1], flush=True)
    Path(runs).mkdir(parents=True, exist_ok=True)
    write_csv(Path(runs, "plain.csv"), rows)


def tensors(images: Samples) -> tuple[Tensor, Tensor]:
    """Images `(N, 3, 32, 32)` scaled to 0-1, and labels `(N,)`."""
    pixels = np.stack([np.asarray(images[i]) for i in range(len(images))])
    scaled = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return scaled, torch.from_numpy(images.labels)


def fit(images: Tensor, labels: Tensor, seed: int) -> nn.Module:
    """The article's network, trained as the article trains it."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
    for _ in range(EPOCHS):
        for batch in torch.split(torch.randperm(len(images)), BATCH):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(images[batch]), labels[batch])
            torch.autograd.backward(loss)
            optimizer.step()
    return network


@torch.no_grad()
def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images that are told right."""
    return float((network(images).argmax(1) == labels).float().mean())


if __name__ == "__main__":
    main(*sys.argv[1:])
