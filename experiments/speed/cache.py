"""What does the feature cache save, against the usual way with Lightning to train on frozen stages?

    .venv/bin/python experiments/speed/cache.py [PAIRS] [EPOCHS] [DATA] [WEIGHTS]

DATA is a folder of images, a folder a class; without it photographs of 500 x 375 px are made. WEIGHTS are
SqueezeNet's; without them they are random, so accuracies mean nothing, but cost and agreement are the same.
The usual way decodes the images and runs the whole network in each epoch, without gradients for what is
frozen, with `self.log`, metrics, a bar, TensorBoard and checkpoints. Both train the same head from the same
values, by the same optimizer, on the same images in the same order, in turn in one process on one thread.
CPU time is taken. What both do once before (opening the data, building the network) is left out.
"""

import copy
import io
import logging
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl
import torch
from images import draw
from PIL import Image
from pytorch_lightning.callbacks import ModelCheckpoint, TQDMProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import MulticlassAccuracy
from torchvision.transforms import v2

from graft.composition.composing import compose
from graft.configuration.run_config import RunConfig
from graft.data import SampleDataModule
from graft.data.sharing import EpochBatches
from graft.training import assembly
from graft.training.cache import decision as cache_decision
from graft.training.fitting import fit, trainer_of

BATCH, LR, JOBS = 32, 1e-3, 20
SHARED = [
    *("data=image_folder", f"data.batch_size={BATCH}", "data.num_workers=0", "trainer=cpu", "threads=1"),
    *("optimizer=adam", f"optimizer.lr={LR}", f"optimizer.head_lr={LR}", "scheduler=constant"),
]
folders = count()


@dataclass
class Outcome:
    """What one training took and gave.

    Attributes:
        seconds: of CPU time.
        looked_up: seconds of it that went by until it was known what is stored.
        logits: `(N, C)` of the validation images.
        labels: `(N,)`.
    """

    seconds: float
    looked_up: float
    logits: Tensor
    labels: Tensor

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float((self.logits.argmax(1) == self.labels).float().mean())


class Photos(Dataset[Any]):
    """Files of one split, decoded and transformed by torchvision as they are asked for."""

    def __init__(self, loading: SampleDataModule, root: Path, split: str) -> None:
        size, images = loading.evaluation.preprocessing, loading.data.samples  # type: ignore[attr-defined]
        self.files = [(root / images.names[i], int(images.labels[i])) for i in loading.splits[split]]
        self.transform = v2.Compose(
            [
                v2.Resize(size.resize, antialias=True),
                v2.CenterCrop(size.crop),
                *(v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(size.mean, size.std)),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, key: Any) -> tuple[Tensor, int]:
        path, label = self.files[key[1] if isinstance(key, tuple) else key]
        return self.transform(Image.open(path).convert("RGB")), label


class UsualProbe(pl.LightningModule):
    """A head on a frozen backbone as Lightning's documentation writes one."""

    def __init__(self, backbone: nn.Module, head: nn.Module, classes: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone.eval().requires_grad_(False), head
        self.train_accuracy, self.val_accuracy = MulticlassAccuracy(classes), MulticlassAccuracy(classes)

    def on_train_epoch_start(self) -> None:  # noqa: D102
        self.backbone.eval()

    def forward(self, images: Tensor) -> Tensor:  # noqa: D102
        with torch.no_grad():
            features = self.backbone(images)
        return self.head(features)  # type: ignore[no-any-return]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:  # noqa: D102
        logits = self(batch[0])
        loss = nn.functional.cross_entropy(logits, batch[1])
        self.train_accuracy(logits, batch[1])
        self.log("train/loss", loss, on_step=True, on_epoch=True, prog_bar=True)
        self.log("train/accuracy", self.train_accuracy, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:  # noqa: D102
        logits = self(batch[0])
        self.val_accuracy(logits, batch[1])
        self.log("val/loss", nn.functional.cross_entropy(logits, batch[1]))
        self.log("val/accuracy", self.val_accuracy)

    def configure_optimizers(self) -> torch.optim.Optimizer:  # noqa: D102
        return torch.optim.Adam(self.head.parameters(), LR)


def prepared(words: list[str]) -> tuple[RunConfig, assembly.Parts]:
    """Data and network of a run."""
    config, parts, _ = assembly.prepare(RunConfig.of(compose("train", words)[0]))
    return config, parts


def usual(words: list[str], folder: Path, root: Path) -> Outcome:
    """The usual way."""
    config, parts = prepared(words)
    loading, network = parts.loading, parts.module
    probe = UsualProbe(copy.deepcopy(network.backbone), copy.deepcopy(network.head), 2)
    photos, epochs = Photos(loading, root, "train"), config.trainer["max_epochs"]
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[ModelCheckpoint(folder, monitor="val/loss", save_last=True), TQDMProgressBar()],
        logger=TensorBoardLogger(folder),
        num_sanity_val_steps=0,
        enable_model_summary=False,
    )
    batches = EpochBatches(len(photos), BATCH, loading.seed, lambda: (trainer.current_epoch, 0))
    validation = DataLoader(Photos(loading, root, "val"), BATCH)
    started = time.process_time()
    trainer.fit(probe, DataLoader(photos, batch_sampler=batches), validation)
    seconds = time.process_time() - started
    return Outcome(seconds, 0.0, *answers(probe, validation))


def ours(words: list[str], folder: Path, root: Path) -> Outcome:
    """What `graft train` does between the data being open and the final test."""
    config, parts = prepared(words)
    started = time.process_time()
    trainer, _ = trainer_of(config, folder, parts, 1, None)
    ready = time.process_time()
    decision = cache_decision.decide(config, parts, trainer, 1)
    assert decision.cache, decision.line
    looked_up = time.process_time() - ready
    parts.loading.cache = decision.cache
    fit(config, parts, trainer, None)
    seconds = time.process_time() - started
    validation = DataLoader(Photos(parts.loading, root, "val"), BATCH)
    network = nn.Sequential(parts.module.backbone, parts.module.head)
    return Outcome(seconds, looked_up, *answers(network, validation))


@torch.no_grad()
def answers(network: nn.Module, batches: DataLoader[Any]) -> tuple[Tensor, Tensor]:
    """Logits `(N, C)` and labels `(N,)` of all images."""
    network.eval()
    logits, labels = zip(*((network(images), labels) for images, labels in batches), strict=True)
    return torch.cat(logits), torch.cat(labels)


class Clock(pl.Callback):
    """Measures the steps of the epochs after the first."""

    def __init__(self) -> None:
        self.began, self.seconds, self.steps = 0.0, 0.0, 0

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:  # noqa: D102
        now = time.process_time()
        if trainer.current_epoch and not trainer.is_last_batch:
            # From the end of one step to the end of the next, so that loading is in it.
            if self.began:
                self.seconds, self.steps = self.seconds + now - self.began, self.steps + 1
            self.began = now
        else:
            self.began = 0.0


def step(words: list[str], folder: Path) -> tuple[float, float]:
    """Seconds of CPU time of a training step, and of filling the cache, where there is one."""
    config, parts = prepared([*words, "trainer.max_epochs=3"])
    trainer, _ = trainer_of(config, folder, parts, 1, None)
    decision = cache_decision.decide(config, parts, trainer, 1)
    parts.loading.cache = decision.cache
    started = time.process_time()
    if decision.cache:
        decision.cache.now("train")
    filled = time.process_time() - started
    callbacks: Any = trainer.callbacks  # type: ignore[attr-defined]
    callbacks.append(clock := Clock())
    fit(config, parts, trainer, None)
    return clock.seconds / clock.steps, filled


def main(pairs: str = "3", epochs: str = "20", data: str | None = None, weights: str = "null") -> None:
    """Time all, pair by pair, and print the tables."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    with TemporaryDirectory() as name:
        temporary = Path(name)
        root = Path(data).absolute() if data else draw(temporary / "photos", (500, 375), 160, classes=2)

        def quietly(run: Callable[..., Any], *words: str, root: Path | None = root) -> Any:
            where = temporary / "runs" / str(next(folders))
            given = [*SHARED, f"data.root={data_root}", *words]
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                return run(given, where, root) if root else run(given, where)

        data_root = root
        Console(width=110).print(probes(quietly, temporary, int(pairs), int(epochs), weights))
        Console(width=110).print(steps(quietly, temporary, int(pairs)))


def probes(quietly: Callable[..., Any], temporary: Path, pairs: int, epochs: int, weights: str) -> Table:
    """The head alone on SqueezeNet."""
    words = ["backbone=squeezenet1_0", f"backbone.weights={weights}", "freeze=frozen"]
    words.append(f"trainer.max_epochs={epochs}")
    found: dict[str, list[float]] = {}
    agreement: dict[str, str] = {}
    for pair in range(pairs):
        theirs = quietly(usual, *words)
        for name, extra in {"float32": [], "fast": ["cache.precision=fast"]}.items():
            cached = [*words, *extra, f"cache.dir={temporary / name / str(pair)}"]
            for kind in ("cold", "warm"):
                mine = quietly(ours, *cached)
                found.setdefault(f"{kind}, {name}", []).append(theirs.seconds / mine.seconds)
                same = int((mine.logits.argmax(1) == theirs.logits.argmax(1)).sum())
                apart = float((mine.logits.softmax(1) - theirs.logits.softmax(1)).abs().max())
                accuracies = f"{theirs.accuracy:.3f} and {mine.accuracy:.3f}"
                agreement[f"{kind}, {name}"] = f"{same} of {len(mine.labels)}, {apart:.0e}; {accuracies}"
                if kind == "warm":
                    share = mine.looked_up / (mine.seconds - mine.looked_up)
                    found.setdefault(f"look-up / the rest, {name}", []).append(share)
        cache = f"cache.dir={temporary / 'sweep' / str(pair)}"
        jobs = [quietly(ours, *words, cache, f"seed={seed}").seconds for seed in range(JOBS)]
        found.setdefault(f"{JOBS} jobs / one, float32", []).append(sum(jobs) / jobs[0])
    goals = {
        "cold, float32": f"{0.95 * epochs:g}",
        "cold, fast": f"{2.4 * epochs:g}",
        "warm, float32": "500",
        "look-up / the rest, float32": "0.1 at most",
        f"{JOBS} jobs / one, float32": "1.5 at most",
    }
    title = f"A probe of {epochs} epochs on frozen SqueezeNet: the usual way / ours"
    table = Table("", "ratio", "of", "goal", "same answers, furthest apart; accuracies", title=title)
    for name, values in found.items():
        spread = f"{min(values):.3g}-{max(values):.3g}"
        table.add_row(name, f"{median(values):.3g}", spread, goals.get(name, ""), agreement.get(name, ""))
    return table


def steps(quietly: Callable[..., Any], temporary: Path, pairs: int) -> Table:
    """A step that trains the last stage."""
    table = Table("", "full", "last stage", "cached", "fast", "last / cached", "full / cached", "full / fast")
    table.title = "CPU ms of a step on the last stage at 128 px, and of filling the cache (once)"
    table.add_row("goal", "", "", "", "", "2.4", "5", "8")
    quick = ["cache.precision=fast", "trainer.precision=bf16-mixed", "channels_last=true"]
    for backbone in ("resnet18", "squeezenet1_0"):
        words = [f"backbone={backbone}", "backbone.weights=null", "backbone.image_size=128"]
        ways = {
            "full": ["freeze=full"],
            "last": ["freeze=last_k", "freeze.k=1", "cache.features=off"],
            "cached": ["freeze=last_k", "freeze.k=1", "cache.features=on"],
            "fast": ["freeze=last_k", "freeze.k=1", "cache.features=on", *quick],
        }
        rounds = [
            {
                name: quietly(
                    step, *words, *way, f"cache.dir={temporary / backbone / str(number)}", root=None
                )
                for name, way in ways.items()
            }
            for number in range(pairs)
        ]

        def times(name: str, part: int = 0, rounds: list[Any] = rounds) -> str:
            return f"{1000 * median(each[name][part] for each in rounds):.0f}"

        def ratio(one: str, other: str, rounds: list[Any] = rounds) -> str:
            return f"{median(each[one][0] / each[other][0] for each in rounds):.2f}"

        table.add_row(
            backbone,
            times("full"),
            times("last"),
            f"{times('cached')} (fill {times('cached', 1)})",
            f"{times('fast')} (fill {times('fast', 1)})",
            ratio("last", "cached"),
            ratio("full", "cached"),
            ratio("full", "fast"),
        )
    return table


if __name__ == "__main__":
    main(*sys.argv[1:])
