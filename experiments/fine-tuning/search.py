"""Try many settings cheaply: `graft train`'s training of small networks, without what a run leaves behind.

    python search.py STAGE[,STAGE] TASKS SOURCES OUT.jsonl [pair …] [--draws 0,1]

A run of a few seconds spends most of them on figures, checkpoints and reading images. This loop keeps a
task's images as tensors and does nothing but train: Graft's backbone, head and parameter groups, AdamW, its
warm-up and cosine step by step, batches of even sizes. `graft_runs.py` runs the settings that matter as
Graft's own runs. One line of JSON a training; what is there is not done again.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import networks
import numpy as np
import torch
from PIL import Image
from settings import JUDGED_EVERY, NETWORKS, PAIRS, STAGES, place_of
from torch import Tensor, nn
from torch.nn import functional

from graft.backbones import Backbone, Preprocessing, simple_cnn, torchvision_backbone
from graft.models.head import linear
from graft.optim.groups import parameter_groups
from graft.runs.files import read_csv

DEFAULTS = {
    "trainer.max_epochs": "10",
    "optimizer.lr": "1e-4",
    "optimizer.head_lr": "3e-3",
    "optimizer.layer_decay": "1",
    "optimizer.weight_decay": "0.01",
    "loss.label_smoothing": "0",
    "scheduler.warmup_epochs": "0.5",
    "augment.crop_padding": "0",
    "data.batch_size": "32",
    "freeze": "full",
    "freeze.at": "0",
    "freeze.norm": "train",
    "augment": "none",
    "augment.horizontal_flip": "0",
}
Part = tuple[Tensor, Tensor]


def main() -> None:
    """Read the command line and do what is missing, draw by draw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("stages")
    parser.add_argument("tasks", type=Path)
    parser.add_argument("sources", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("pairs", nargs="*", default=[])
    parser.add_argument("--draws", default="0,1")
    parser.add_argument("--commit", default="", help="of Graft, for the record")
    given = parser.parse_args()
    lines = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    done = {(line["stage"], line["pair"], line["setting"], line["draw"]) for line in lines}
    for draw in map(int, given.draws.split(",")):
        for stage in given.stages.split(","):
            for pair in given.pairs or STAGES[stage].pairs:
                settings = STAGES[stage].settings
                missing = {name: settings[name] for name in settings if (stage, pair, name, draw) not in done}
                for row in tried(pair, draw, missing, given.tasks, given.sources):
                    with given.out.open("a") as file:
                        file.write(json.dumps({"stage": stage, "commit": given.commit, **row}) + "\n")


def tried(
    pair: str, draw: int, settings: dict[str, list[str]], tasks: Path, sources: Path
) -> Iterator[dict[str, Any]]:
    """A row for each setting, trained on the draw's images."""
    if not settings:
        return
    file = tasks / "search" / f"{PAIRS[pair].manifest}-{draw}.csv"
    train, val = (images(file, tasks, part, network(pair, sources)) for part in ("train", "val"))
    every = JUDGED_EVERY.get(pair, 1)
    val = val[0][::every], val[1][::every]
    for name, words in settings.items():
        given = DEFAULTS | dict(word.split("=", 1) for word in words)
        row = trained(network(pair, sources), train, val, given, draw)
        yield {"pair": pair, "setting": name, "draw": draw, **row}


def network(pair: str, sources: Path) -> Backbone:
    """The pair's backbone with its source's weights."""
    name, weights, sizes = NETWORKS[PAIRS[pair].network]
    makers: dict[str, Callable[..., Backbone]] = {
        "simple_cnn": simple_cnn,
        "small_resnet": networks.small_resnet,
        "efficientnet_lite0": networks.efficientnet_lite0,
        "squeezenet1_0": partial(torchvision_backbone, "squeezenet1_0"),
    }
    size = {"image_size": sizes[PAIRS[pair].manifest.split("-")[0]]} if sizes else {}
    return makers[name](weights=place_of(weights, sources), **size)


def images(file: Path, root: Path, part: str, backbone: Backbone) -> Part:
    """A part's images `(N, 3, H, W)`, resized, cut and normalised, and labels `(N,)`."""
    rows = read_csv(file)
    classes = sorted({row["label"] for row in rows})
    own = [row for row in rows if row["split"] == part]
    wanted = backbone.preprocessing
    pixels = np.stack([resized(Image.open(root / row["path"]), wanted) for row in own])
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (wanted.mean, wanted.std))
    scaled = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - mean) / std
    return scaled, torch.tensor([classes.index(row["label"]) for row in own])


def resized(image: Image.Image, wanted: Preprocessing) -> np.ndarray:
    """The shorter side to `resize`, then the middle `crop` pixels square."""
    share = wanted.resize / min(image.size)
    width, height = (max(wanted.resize, round(side * share)) for side in image.size)
    left, top = (width - wanted.crop) // 2, (height - wanted.crop) // 2
    whole = image.convert("RGB").resize((width, height), Image.Resampling[wanted.interpolation.upper()])
    return np.asarray(whole.crop((left, top, left + wanted.crop, top + wanted.crop)))


def trained(backbone: Backbone, train: Part, val: Part, words: dict[str, str], seed: int) -> dict[str, Any]:
    """Train once; what validation says of the last weights."""
    started = time.process_time()
    torch.manual_seed(seed)
    head = linear(backbone.width, len(torch.unique(train[1])))
    groups = parameter_groups(
        backbone,
        head,
        lr=float(words["optimizer.lr"]),
        head_lr=words["optimizer.head_lr"]
        if "x" in words["optimizer.head_lr"]
        else float(words["optimizer.head_lr"]),
        weight_decay=float(words["optimizer.weight_decay"]),
        layer_decay=float(words["optimizer.layer_decay"]),
    )
    optimizer = torch.optim.AdamW([dict(group) for group in groups])
    epochs, count = int(words["trainer.max_epochs"]), len(train[1])
    batches = math.ceil(count / int(words["data.batch_size"]))
    steps, warmup = epochs * batches, round(float(words["scheduler.warmup_epochs"]) * batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(step, warmup, steps))
    model = nn.Sequential(backbone, head)
    for epoch in range(epochs):
        model.train()
        freeze(backbone, epoch < int(words["freeze.at"]), words["freeze.norm"])
        for places in torch.randperm(count).tensor_split(batches):
            inputs = shifted(
                train[0][places], int(words["augment.crop_padding"]), float(words["augment.horizontal_flip"])
            )
            loss = functional.cross_entropy(
                model(inputs), train[1][places], label_smoothing=float(words["loss.label_smoothing"])
            )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(some) for some in torch.split(val[0], 256)])
        fitted = torch.cat([model(some) for some in torch.split(train[0], 256)])
    return {
        "val/accuracy": (logits.argmax(1) == val[1]).float().mean().item(),
        "val/loss": functional.cross_entropy(logits, val[1]).item(),
        "train/loss": functional.cross_entropy(fitted, train[1]).item(),
        "seconds": round(time.process_time() - started, 2),
    }


def factor(step: int, warmup: int, steps: int) -> float:
    """`scheduler=cosine`'s share of the rate at a step."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, steps - warmup))))


def freeze(backbone: Backbone, frozen: bool, norm: str) -> None:
    """The backbone as `freeze_unfreeze` and `freeze.norm` leave it in an epoch."""
    for parameter in backbone.parameters():
        parameter.requires_grad_(not frozen)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d) and (frozen or norm in ("affine", "frozen")):
            module.eval()
            for parameter in module.parameters():
                parameter.requires_grad_(not frozen and norm == "affine")


def shifted(inputs: Tensor, padding: int, flip: float) -> Tensor:
    """Each image cut at a random place from itself with a black border, and perhaps mirrored."""
    if not padding:
        return inputs
    size = inputs.shape[-1]
    wide = functional.pad(inputs, [padding] * 4, value=-1.0)
    corners = torch.randint(2 * padding + 1, (len(inputs), 2)).tolist()
    cut = torch.stack(
        [image[:, y : y + size, x : x + size] for image, (y, x) in zip(wide, corners, strict=True)]
    )
    mirrored = torch.rand(len(cut)) < flip
    return torch.where(mirrored.view(-1, 1, 1, 1), cut.flip(-1), cut)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
