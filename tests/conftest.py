"""Small images, networks and runs that tests of several rooms share."""

import copy
import functools
import gc
import io
import json
import os
import runpy
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import omegaconf
import pytest
import yaml
from PIL import Image

# Before torch is imported anywhere: tests that share cores run faster on one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def _white_pixel() -> bytes:
    drawn = io.BytesIO()
    Image.new("RGB", (1, 1), "white").save(drawn, format="png")
    return drawn.getvalue()


def pytest_collection_finish() -> None:
    """Let no collection of garbage walk what was imported: a fifth of what composing a run takes."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Otherwise libraries tell of leaks where the process ends."""
    gc.unfreeze()


# What draws the figures of a run.
DRAWING = (
    *(f"graft.reporting.pictures.{name}" for name in ("picture_of", "confusion_figure", "learning_curves")),
    *(f"graft.evaluation.answer_figures.{name}" for name in ("precision_recall", "reliability_figure")),
    "graft.evaluation.answer_figures.mistakes",
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Write a white pixel in place of each figure, unless the test is marked `figures`.

    To draw the figures of a run takes longer than the run. What draws them is called all the same, but not
    for the runs of end to end tests, whose figures take a sixth of their time; their rendering is left out.
    """
    from matplotlib.figure import Figure

    from graft.runs import files

    with pytest.MonkeyPatch.context() as patch:
        if item.get_closest_marker("figures") is None:
            patch.setattr(files, "png_of", lambda figure: _white_pixel())
            patch.setattr(files, "svg_of", lambda figure: b'<svg xmlns="http://www.w3.org/2000/svg"/>')
            if "end_to_end" in item.path.parts:
                for name in DRAWING:
                    patch.setattr(name, lambda *given: Figure())
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def _left_to_the_disk() -> Iterator[None]:
    """Wait for no disk: a run syncs some 70 files against a power cut, and no test cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda number: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _options_read_in_c() -> Iterator[None]:
    """Let libyaml read the files that a run is composed of: it takes a quarter less time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml, "SafeLoader", getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        loader = omegaconf._utils.get_yaml_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(omegaconf._utils, "get_yaml_loader", lambda: loader)
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests, and the processes that they start, out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAFT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small images, a folder a class: what is reddish, greenish, bluish; no parts."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for channel, name in enumerate(("red", "green", "blue")):
        (root / name).mkdir()
        for index in range(12):
            pixels = rng.integers(0, 120, (40, 48, 3), dtype=np.uint8)
            pixels[..., channel] += 120
            Image.fromarray(pixels).save(root / name / f"{index:02d}.png")
    return root


@pytest.fixture(scope="session")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of two epochs on `photos`."""
    import graft

    path = tmp_path_factory.mktemp("runs") / "run"
    words = ["data=image_folder", f"data.root={photos}", "data.batch_size=8", "trainer.max_epochs=2"]
    return graft.train([*words, "trainer=cpu", f"hydra.run.dir={path}"]).path


@pytest.fixture
def paint():
    """Write an image of one colour; its folders are made."""

    def paint(path, colour=(200, 30, 30), size=(12, 10)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path)
        return path

    return paint


@pytest.fixture
def tree(tmp_path, paint):
    """Make `{"train/ants": 3}` images below `tmp_path / "photos"`, every one another colour."""

    def tree(folders):
        root = tmp_path / "photos"
        root.mkdir(exist_ok=True)
        for place, (folder, count) in enumerate(folders.items()):
            (root / folder).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                paint(root / folder / f"{index:02d}.png", (index, 40 * place, 100))
        return root

    return tree


@pytest.fixture
def noise():
    """Data in memory: `{"train": [20, 20]}` images a class, every pixel random."""

    from graft.data import SampleData, array_images

    def noise(counts, size=8, class_names=None):
        stream = np.random.default_rng(0)
        parts = {}
        for part, numbers in counts.items():
            labels = np.repeat(np.arange(len(numbers)), numbers)
            # Classes mixed, so that an order by class would show.
            labels = stream.permutation(labels)
            pixels = stream.integers(0, 256, (len(labels), size, size, 3), dtype=np.uint8)
            parts[part] = array_images([f"{part}/{i:03d}" for i in range(len(labels))], labels, pixels)
        classes = len(next(iter(counts.values())))
        return SampleData(class_names or [f"class{i}" for i in range(classes)], parts)

    return noise


@pytest.fixture
def tiny():
    """Make a backbone with what freezing can go wrong in: BatchNorm and dropout, in three stages."""

    import torch
    from torch import nn

    from graft.backbones import Backbone, Preprocessing

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
def plan(tiny):
    """Make a strategy's plan for such a backbone."""

    from graft.freezing import FreezePlan

    return lambda strategy, epochs=10: FreezePlan(strategy, tiny().stages, epochs)


@pytest.fixture
def transfer(tiny, plan):
    """Make a module for 3 classes; `lr=0` keeps the weights, so that losses can be computed by hand."""

    import torch

    from graft.freezing import Full
    from graft.models import linear
    from graft.optim import constant
    from graft.tasks import SingleLabel
    from graft.training import TransferModule

    whole = plan(Full())

    def transfer(lr=0.1, backbone=None, optimizer=torch.optim.SGD, schedule=constant, **settings):
        backbone = backbone or tiny()
        # Torch's optimizers want a rate of their own, although each group has one.
        factory = partial(optimizer, lr=lr)
        rates = {"lr": lr, "head_lr": None, "weight_decay": settings.pop("weight_decay", 0.0)}
        head = linear(backbone.width, 3)
        loss = {key: settings.pop(key) for key in ("label_smoothing", "class_weights") if key in settings}
        task = SingleLabel(["a", "b", "c"], **loss)
        settings.setdefault("plan", whole)
        return TransferModule(
            backbone, head, task=task, optimizer=factory, schedule=schedule, rates=rates, **settings
        )

    return transfer


@pytest.fixture
def items():
    """Make `count` random images of 16 pixels as a list of what a batch is made of."""

    import torch

    def items(count, seed=0):
        noise = torch.Generator().manual_seed(seed)
        labels = torch.randint(0, 3, (count,), generator=noise)
        images = torch.randn(count, 3, 16, 16, generator=noise)
        return [
            {"input": image, "target": label, "index": torch.tensor(100 + index)}
            for index, (image, label) in enumerate(zip(images, labels, strict=True))
        ]

    return items


@pytest.fixture
def loader(items):
    """Make batches of such images, in order."""

    from torch.utils.data import DataLoader

    def loader(count, batch_size, seed=0):
        return DataLoader(items(count, seed), batch_size=batch_size)

    return loader


@pytest.fixture
def trainer(tmp_path):
    """Make a Trainer that says and writes nothing of its own."""

    import pytorch_lightning as pl

    from graft.processes.lightning import quiet_lightning

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


# Labels of twelve test images, four a class.
LABELS = [name for name in ("ant", "bee", "cat") for _ in range(4)]


def answers(wrong: Mapping[int, str]) -> list[dict[str, str]]:
    """`predictions.csv` of a run that has all right but for `wrong`: image to what it said."""
    rows = [
        {"path": f"{place:02d}.png", "predicted": wrong.get(place, label), "label": label}
        for place, label in enumerate(LABELS)
    ]
    return [row | {f"p_{name}": "0.3" for name in ("ant", "bee", "cat")} for row in rows]


@functools.cache
def composed(*words: str) -> Mapping[str, Any]:
    """The configuration of some words, for readers alone: a few sets of words make hundreds of runs."""
    from graft.composition.composing import compose

    config, _ = compose("train", words)
    return {key: value for key, value in config.items() if key not in ("resume", "trust")}


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Make `tmp_path/<name>`: the run of some words; `changed` are keys that are set after composing."""

    def make(
        name: str,
        words: list[str],
        metrics: Mapping[str, Any] | None = None,
        wrong: Mapping[int, str] | None = None,
        curve: list[float] | None = None,
        changed: Mapping[str, Any] | None = None,
        **status: Any,
    ) -> Path:
        from graft.runs.files import write_csv, write_json, write_yaml

        path = tmp_path / name
        config = copy.deepcopy(composed(*words))
        for key, value in (changed or {}).items():
            part, _, leaf = key.rpartition(".")
            config[part][leaf] = value
        write_yaml(path / "config.yaml", config)
        write_yaml(path / "overrides.yaml", words)
        began = {"status": "finished", "started": "2026-11-23T10:00:00+00:00", "pid": 1, "host": "here"}
        write_json(path / "status.json", {**began, **status})
        if metrics is not None:
            costs = {"trainable_parameters": 850, "seconds": 2.0}
            (path / "metrics.json").write_text(json.dumps({**metrics, **costs}))
        if wrong is not None:
            write_csv(path / "predictions.csv", answers(wrong))
        if curve is not None:
            write_csv(path / "metrics.csv", [{"epoch": e, "val/accuracy": v} for e, v in enumerate(curve)])
        return path

    return make


@pytest.fixture
def sweep(make_run: Callable[..., Path], tmp_path: Path) -> Path:
    """Frozen and full over three seeds, full better on validation and worse on the test; one failed."""
    for seed, (frozen, full) in enumerate([(0.7, 0.6), (0.72, 0.65), (0.8, 0.67)]):
        metrics = {
            "val/accuracy": 0.8 + 0.01 * seed,
            "val/loss": 0.5,
            "test/accuracy": frozen,
            "test/loss": 0.9,
        }
        # Of the head's own solver there would be other keys to tell the two apart by.
        words = ["data=digits", "optimizer=adamw", f"seed={seed}"]
        make_run(f"sweep/a{seed}", [*words, "freeze=frozen"], metrics, {0: "bee"}, [0.5, 0.8])
        better = {"val/accuracy": 0.9, "val/loss": 0.6, "test/accuracy": full, "test/loss": 0.8}
        make_run(
            f"sweep/b{seed}", [*words, "freeze=full"], better, {0: "bee", 1: "cat", 4: "ant"}, [0.6, 0.9]
        )
    lr = ["data=digits", "optimizer=adamw", "freeze=full", "optimizer.lr=0.5", "seed=0"]
    make_run("sweep/c0", lr, status="failed", reason="the loss became nan")
    return tmp_path / "sweep"


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """By kind, a folder with a tiny encoder of transformers: random weights, and what lies beside them."""
    pytest.importorskip("transformers")
    # Read here: it imports transformers, which is slow.
    save = runpy.run_path(str(Path(__file__).with_name("tiny_encoders.py")))["save"]

    @functools.cache
    def saved(kind: str) -> Path:
        folder = tmp_path_factory.mktemp(kind)
        save(kind, folder)
        return folder

    return saved
