"""A tiny network, tiny images and a quick fit that the tests of `graft.training` share."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from graft.backbones import Backbone, Preprocessing
from graft.optim import constant
from graft.training import TransferModule, linear
from graft.training.trainer import quiet_lightning


@pytest.fixture
def tiny():
    """Make a backbone with what freezing can go wrong in: BatchNorm and dropout, in three stages."""

    def tiny(seed=0, dropout=0.3):
        torch.manual_seed(seed)
        stages = {
            "stem": nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU()),
            "body": nn.Sequential(nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), nn.Dropout(dropout)),
            "top": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 6)),
        }
        return Backbone(stages, width=6, preprocessing=Preprocessing(resize=16, crop=16))

    return tiny


@pytest.fixture
def transfer(tiny):
    """Make a module for 3 classes; `lr=0` keeps the weights, so that losses can be computed by hand."""

    def transfer(lr=0.1, backbone=None, optimizer=torch.optim.SGD, schedule=constant, **settings):
        backbone = backbone or tiny()
        # Torch's optimizers want a rate of their own, although each group has one.
        factory = partial(optimizer, lr=lr)
        rates = {"lr": lr, "head_lr": None, "weight_decay": settings.pop("weight_decay", 0.0)}
        head = linear(backbone.width, 3)
        return TransferModule(
            backbone, head, classes=3, optimizer=factory, schedule=schedule, rates=rates, **settings
        )

    return transfer


@pytest.fixture
def items():
    """Make `count` random images of 16 pixels as a list of what a batch is made of."""

    def items(count, seed=0):
        noise = torch.Generator().manual_seed(seed)
        labels = torch.randint(0, 3, (count,), generator=noise)
        images = torch.randn(count, 3, 16, 16, generator=noise)
        return [
            {"image": image, "label": label, "index": torch.tensor(100 + index)}
            for index, (image, label) in enumerate(zip(images, labels, strict=True))
        ]

    return items


@pytest.fixture
def loader(items):
    """Make batches of such images, in order."""

    def loader(count, batch_size, seed=0):
        return DataLoader(items(count, seed), batch_size=batch_size)

    return loader


@pytest.fixture
def trainer(tmp_path):
    """Make a Trainer that says and writes nothing of its own."""

    def trainer(epochs=1, callbacks=(), loggers=(), **settings):
        quiet_lightning()
        return pl.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=epochs,
            callbacks=list(callbacks),
            logger=list(loggers),
            default_root_dir=tmp_path,
            enable_model_summary=False,
            enable_checkpointing=any(isinstance(c, pl.callbacks.Checkpoint) for c in callbacks),
            enable_progress_bar=any(isinstance(c, pl.callbacks.ProgressBar) for c in callbacks),
            num_sanity_val_steps=0,
            **settings,
        )

    return trainer
