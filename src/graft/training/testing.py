"""Testing a model once on a list of images: the metrics, and what it said of each image."""

from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from graft.data import ImageData
from graft.training.bundle import Bundle
from graft.training.module import TransferModule
from graft.training.progress import progress_bar
from graft.training.ranks import lone_trainer


class TestResult(NamedTuple):
    """What a test gives.

    Attributes:
        metrics: `test/loss`, `test/accuracy`, …
        confusion: `(C, C)` counts, rows being true classes.
        indices: `(N,)` which image each row of `probabilities` belongs to.
        probabilities: `(N, C)`, float32.
    """

    metrics: dict[str, float]
    confusion: Tensor
    indices: Tensor
    probabilities: Tensor


def tested_module(bundle: Bundle) -> TransferModule:
    """The bundle's model as it is tested at a run's end and by every later command.

    It is the same in both, and compiled in neither, so that both give the same bits.
    """
    backbone: Any = bundle.model.get_submodule("backbone")
    return TransferModule(
        backbone,
        bundle.model.get_submodule("head"),
        classes=len(bundle.class_names),
        channels_last=bundle.tested.channels_last,
    )


def make_tester(bundle: Bundle, accelerator: str, folder: Path) -> pl.Trainer:
    """A Trainer that only tests and predicts, at the precision that the bundle's run was tested at."""
    return lone_trainer(
        accelerator,
        precision=bundle.tested.precision,
        callbacks=[progress_bar()],
        default_root_dir=folder,
    )


def test(trainer: pl.Trainer, module: TransferModule, loader: DataLoader[Any]) -> TestResult:
    """Run the module over the loader's images, in order."""
    trainer.test(module, dataloaders=loader, verbose=False)
    tally = module.tally("test")
    metrics = {f"test/{key}": value for key, value in tally.compute().items()}
    indices, probabilities = (torch.cat(column) for column in zip(*module.outputs, strict=True))
    return TestResult(metrics, tally.confusion.cpu(), indices, probabilities)


def prediction_rows(result: TestResult, data: ImageData) -> list[dict[str, Any]]:
    """One row a tested image: path, predicted and true class, one probability a class.

    Args:
        result: from `test`; its `indices` count in the data's images.
        data: what was tested, in the model's classes.
    """
    names, labels, classes = data.images.names, data.images.labels, data.class_names
    rows = []
    for index, probabilities in zip(result.indices.tolist(), result.probabilities.tolist(), strict=True):
        best = max(range(len(classes)), key=probabilities.__getitem__)
        row = {"path": names[index], "predicted": classes[best], "label": classes[labels[index]]}
        rows.append(row | {f"p_{name}": p for name, p in zip(classes, probabilities, strict=True)})
    return rows
