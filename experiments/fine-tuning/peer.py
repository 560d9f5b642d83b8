"""fastai's `fine_tune` on the study's manifests: the same images, splits, epochs and starting weights.

    python peer.py STAGE TASKS SOURCES OUT [pair …] [--draws 0,1] [--epochs 10] [--batch 64]

Needs an environment of its own with fastai beside Graft (from which it takes the networks and weights). All
is as `vision_learner` and `fine_tune` do by default: fastai's head (concat pooling, two layers with
BatchNorm and dropout; without pooling where the features are a vector), one frozen epoch, then all at rates
from 1e-5 to 1e-3 over fastai's own groups of layers, Adam with decoupled decay 0.01, batches of 64 (fewer
where there are fewer images: fastai drops the last, short batch), no augmentation, the last epoch's
weights. Images are resized and normalised as for Graft. One line of JSON a run in OUT; runs that are there
are not run again.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
import torch
from fastai.vision.all import (  # type: ignore[import-not-found]
    CategoryBlock,
    ColReader,
    ColSplitter,
    DataBlock,
    ImageBlock,
    L,
    Learner,
    Normalize,
    Transform,
    accuracy,
    add_head,
    default_split,
    params,
    set_seed,
)
from PIL import Image
from settings import NETWORKS, PAIRS, STAGES, place_of
from torch import nn

from graft.backbones import Backbone, Preprocessing, simple_cnn, torchvision_backbone

warnings.filterwarnings("ignore")


def main() -> None:
    """Read the command line and run what is missing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("tasks", type=Path)
    parser.add_argument("sources", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("pairs", nargs="*", default=[])
    parser.add_argument("--draws", default="0,1")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    given = parser.parse_args()
    stage = STAGES[given.stage]
    out = given.out / f"fastai-{stage.kind}-{given.epochs}-{given.batch}.jsonl"
    lines = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    done = {(line["pair"], line["draw"]) for line in lines}
    for draw in map(int, given.draws.split(",")):
        for pair in given.pairs or stage.pairs:
            if (pair, draw) not in done:
                row = {"pair": pair, "draw": draw, "epochs": given.epochs, "batch": given.batch}
                row |= tuned(pair, stage.kind, draw, given)
                print(row, flush=True)
                with out.open("a") as file:
                    file.write(json.dumps(row) + "\n")


def tuned(pair: str, kind: str, draw: int, given: argparse.Namespace) -> dict[str, float]:
    """Fine-tune once; accuracy on what the stage judges by: development images or test images."""
    manifest = PAIRS[pair].manifest
    rows = pd.read_csv(given.tasks / kind / f"{manifest}-{draw}.csv", dtype=str)
    training, val = rows[rows.split == "train"], rows[rows.split == "val"]
    judged = val if kind == "search" else rows[rows.split == "test"]
    set_seed(draw, reproducible=True)
    backbone = network(pair, given.sources)
    # What validates plays no part in `fine_tune`; a few images keep its epochs short in a search.
    some = val.head(2) if kind == "search" else val
    return fine_tuned(pair, backbone, given.tasks, training, some, judged, given.epochs, given.batch)


def fine_tuned(
    pair: str,
    backbone: Backbone,
    tasks: Path,
    training: pd.DataFrame,
    validating: pd.DataFrame,
    judged: pd.DataFrame,
    epochs: int,
    batch: int,
) -> dict[str, float]:
    """Fine-tune on rows of a manifest, the first epoch frozen; accuracy and loss on those that judge."""
    some = training.assign(valid=False), validating.assign(valid=True)
    preprocessing = backbone.preprocessing
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=sorted(training.label.unique()))),
        get_x=ColReader("path", pref=tasks),
        get_y=ColReader("label"),
        splitter=ColSplitter("valid"),
        item_tfms=Resized(preprocessing),
        batch_tfms=Normalize.from_stats(preprocessing.mean, preprocessing.std, cuda=False),
    )
    size = min(batch, len(training))
    dls = block.dataloaders(pd.concat(some, ignore_index=True), bs=size, num_workers=0)
    model, splitter = model_of(pair, backbone, len(dls.vocab))
    learn = Learner(dls, model, splitter=splitter, metrics=accuracy)
    started = time.perf_counter()
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(epochs - 1)
        seconds = time.perf_counter() - started
        probabilities, labels = learn.get_preds(
            dl=dls.test_dl(judged.reset_index(drop=True), with_labels=True)
        )
    right = (probabilities.argmax(1) == labels).float().mean().item()
    loss = nn.functional.nll_loss(probabilities.clamp_min(1e-12).log(), labels).item()
    return {"accuracy": right, "loss": loss, "seconds": seconds}


class Resized(Transform):
    """Graft's evaluation transform: the shorter side to `resize`, then the middle `crop` pixels square."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.resize, self.crop = preprocessing.resize, preprocessing.crop
        self.sampling = Image.Resampling[preprocessing.interpolation.upper()]

    def encodes(self, image: Image.Image):  # type: ignore[no-untyped-def]
        """Resize and cut one image; fastai would turn the result into what an annotation says."""
        share = self.resize / min(image.size)
        width, height = (max(self.resize, round(side * share)) for side in image.size)
        left, top = (width - self.crop) // 2, (height - self.crop) // 2
        resized = image.resize((width, height), self.sampling)
        return resized.crop((left, top, left + self.crop, top + self.crop))


def network(pair: str, sources: Path) -> Backbone:
    """The pair's backbone with its source's weights."""
    import networks

    name, weights, sizes = NETWORKS[PAIRS[pair].network]
    makers: dict[str, Callable[..., Backbone]] = {
        "simple_cnn": simple_cnn,
        "small_resnet": networks.small_resnet,
        "efficientnet_lite0": networks.efficientnet_lite0,
        "squeezenet1_0": lambda **keys: torchvision_backbone("squeezenet1_0", **keys),
    }
    size = {"image_size": sizes[PAIRS[pair].manifest.split("-")[0]]} if sizes else {}
    return makers[name](weights=place_of(weights, sources), **size)


def model_of(pair: str, backbone: Backbone, classes: int) -> tuple[nn.Module, Any]:
    """The backbone as fastai cuts it, fastai's head on it, and fastai's groups of layers for it."""
    stages = list(backbone.stages.values())
    kind = PAIRS[pair].network
    if kind in ("glyphs", "cifar"):
        return add_head(nn.Sequential(*stages), backbone.width, classes, pool=False), default_split
    # The last pooling is the head's, and its concat pooling takes the place.
    last = stages[-1].get_submodule("model") if kind == "lite0" else stages[-1]
    stages[-1] = nn.Sequential(*list(last.children())[:-2])
    model = add_head(nn.Sequential(*stages), backbone.width, classes)
    # fastai divides the bodies of torchvision's families in two; others, timm's too, are one group.
    deep = {"resnet": 3, "squeezenet": 2}.get(kind)
    if deep is None:
        return model, default_split
    return model, lambda m: L(m[0][:deep], m[0][deep:], m[1:]).map(params)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
