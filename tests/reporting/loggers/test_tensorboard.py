"""TensorBoard gets pictures and the HParams tab; other loggers get none of it."""

from io import BytesIO

import pytest
import torch
from PIL import Image
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from graft.composition.composing import compose
from graft.configuration.keys import conf_dir
from graft.configuration.schema import flatten
from graft.reporting import pictures
from graft.reporting.loggers import tensorboard
from graft.reporting.loggers.epoch_table import EpochTable
from graft.runs.files import write_figure

CONFIG = {
    "seed": 0,
    "name": "mine",
    "data": {"_target_": "graft.sources.digits", "batch_size": 32, "shots": None, "num_workers": 3},
    "backbone": {"_target_": "graft.backbones.torchvision", "name": "resnet18", "weights": "DEFAULT"},
    "freeze": {"_target_": "graft.freezing.LastK", "k": 2, "norm": None},
    "augment": {"_target_": "graft.data.training_transform", "_partial_": True, "crop_scale": [0.5, 1.0]},
    "mix": {"_target_": "graft.data.mixup", "alpha": 0.2},
    "head": {"_target_": "graft.models.linear", "normalize": True},
    "regularizer": {"_target_": "graft.objective.L2SP", "alpha": 0.1, "beta": 0.01},
    "loss": {"label_smoothing": 0.1, "class_weights": None},
    "distill": {"teacher": None, "temperature": 4.0, "weight": 0.5, "trust": []},
    "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.001, "head_lr": None, "weight_decay": 0.0},
    "scheduler": {"_target_": "graft.optim.cosine", "final": 0.1},
    "trainer": {"_target_": "pytorch_lightning.Trainer", "max_epochs": 7},
}
METRICS = {"test/accuracy": 0.75, "test/loss": 0.5, "val/loss": 0.25, "seconds": 12.0, "epoch": 3}


@pytest.fixture
def board(tmp_path):
    """A logger, and how what it wrote is read."""
    logger = TensorBoardLogger(tmp_path, name="", version="", default_hp_metric=False)

    def read():
        logger.finalize("success")
        return EventAccumulator(logger.log_dir, size_guidance={"images": 0}).Reload()

    return logger, read


@pytest.mark.figures
def test_pictures_are_shown_under_their_names(board, tmp_path):
    logger, read = board
    loggers = [EpochTable(tmp_path / "metrics.csv"), CSVLogger(tmp_path / "csv"), logger]
    tensorboard.add_image(loggers, "training images", torch.rand(3, 20, 30))
    write_figure(tmp_path / "x.png", pictures.confusion_figure(torch.eye(2).long(), ["cat", "dog"]))
    tensorboard.add_figure(loggers, "confusion matrix", tmp_path / "x.png")
    events = read()
    assert set(events.Tags()["images"]) == {"training images", "confusion matrix"}
    (image,) = events.Images("training images")
    assert (image.height, image.width) == (20, 30)
    (image,) = events.Images("confusion matrix")
    with Image.open(tmp_path / "x.png") as written, Image.open(BytesIO(image.encoded_image_string)) as shown:
        assert shown.convert("RGB").tobytes() == written.convert("RGB").tobytes()


def hyperparameters(events):
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    values = HParamsPluginData.FromString(content).session_start_info.hparams
    return {key: getattr(value, value.WhichOneof("kind")) for key, value in values.items()}


def test_the_hparams_tab_has_what_people_vary_and_what_it_reached(board, tmp_path):
    logger, read = board
    tensorboard.add_hyperparameters([EpochTable(tmp_path / "m.csv"), logger], flatten(CONFIG), METRICS)
    events = read()
    assert hyperparameters(events) == {
        "seed": 0,
        "data.batch_size": 32,
        "backbone.weights": "DEFAULT",
        "freeze.k": 2,
        "augment.crop_scale": "[0.5, 1.0]",
        "mix.alpha": 0.2,
        "head.normalize": True,
        "regularizer.alpha": 0.1,
        "regularizer.beta": 0.01,
        "scheduler.final": 0.1,
        "loss.label_smoothing": 0.1,
        "optimizer.lr": 0.001,
        "optimizer.weight_decay": 0,
        "trainer.max_epochs": 7,
        "backbone": "resnet18",
        "freeze": "LastK",
        "optimizer": "AdamW",
        "scheduler": "cosine",
        "data": "digits",
        "augment": "training_transform",
        "mix": "mixup",
        "head": "linear",
        "regularizer": "L2SP",
    }
    final = {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"] if "final" in tag}
    assert final == {"final/test_accuracy": 0.75, "final/val_loss": 0.25}


GROUPS = ("augment", "freeze", "head", "mix", "regularizer", "scheduler")
OPTIONS = [(group, path.stem) for group in GROUPS for path in sorted((conf_dir() / group).glob("*.yaml"))]


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=map("=".join, OPTIONS))
def test_no_key_that_people_vary_is_forgotten(board, group, option):
    logger, read = board
    decay = ["optimizer.weight_decay=0"] if option == "l2_sp" else []
    config, _ = compose("train", ["backbone=resnet18", f"{group}={option}", *decay])
    tensorboard.add_hyperparameters([logger], flatten(config), METRICS)
    shown = hyperparameters(read())
    given = {key for key, value in flatten(config[group]).items() if value is not None}
    assert {f"{group}.{key}" for key in given if not key.endswith("_")} <= set(shown)
    assert shown[group] == config[group]["_target_"].rsplit(".", 1)[-1]


def test_a_teacher_is_shown_with_what_belongs_to_it(board):
    logger, read = board
    config, _ = compose("train", ["distill.teacher=outputs/teacher"])
    tensorboard.add_hyperparameters([logger], flatten(config), METRICS)
    shown = hyperparameters(read())
    assert shown["distill.teacher"] == "outputs/teacher"
    assert (shown["distill.temperature"], shown["distill.weight"]) == (4.0, 0.5)


def test_without_tensorboard_nothing_is_shown(tmp_path):
    loggers = [EpochTable(tmp_path / "metrics.csv")]
    tensorboard.add_image(loggers, "training images", torch.rand(3, 20, 30))
    tensorboard.add_hyperparameters(loggers, flatten(CONFIG), METRICS)
    assert list(tmp_path.iterdir()) == []


def test_of_a_job_of_a_sweep_only_what_is_swept_is_shown(board):
    logger, read = board
    given = {"freeze": "last_k", "optimizer.lr": 1e30, "optimizer.betas": [0.9, 0.99]}
    tensorboard.add_hyperparameters([logger], flatten(CONFIG), METRICS, given)
    assert hyperparameters(read()) == {
        "freeze": "last_k",
        "optimizer.lr": 1e30,
        "optimizer.betas": "[0.9, 0.99]",
    }
