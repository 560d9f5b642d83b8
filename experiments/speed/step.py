"""What does a training step cost above a bare PyTorch loop, with everything on that `graft train` has on?

    .venv/bin/python experiments/speed/step.py [PAIRS]

Three ways train the same network on the same images, which are tensors in memory, with the same AdamW:

- bare: forward, loss, backward, optimizer step; nothing is counted, logged or saved.
- usual: Lightning as its documentation has it: a DataLoader of tensors, loss and accuracy logged by step and
  by epoch, TensorBoard, a progress bar, a checkpoint an epoch, the learning rate.
- ours: the callbacks, loggers and Trainer of `graft train` with its defaults, in a terminal (a live bar).

Each round runs all three in one process, each with one thread; a step is what lies between two batches being
asked for, in CPU time, so that a busy neighbour counts for little. What comes once an epoch (validation,
best and last checkpoint, the tables) stands in a column of its own, in milliseconds. Printed are medians of
rounds, with the least and the greatest ratio.

A second table says what each departure from Lightning for the sake of speed saves: the linear case, in short
epochs, with all of them, and with Lightning's own in the place of each.
"""

import io
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stdout
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest.mock import patch

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LearningRateMonitor, ModelCheckpoint, RichProgressBar, TQDMProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import MulticlassAccuracy

from graft.backbones import Backbone, Preprocessing, simple_cnn, torchvision_backbone
from graft.composition.composing import compose
from graft.configuration.building import build_later
from graft.configuration.run_config import RunConfig
from graft.freezing import FreezePlan, Full
from graft.freezing.apply import FreezeCallback
from graft.models import linear
from graft.processes.lightning import quiet_lightning
from graft.reporting.loggers.epoch_table import EpochTable
from graft.tasks import SingleLabel
from graft.training import TransferModule
from graft.training.callbacks.progress import Bar
from graft.training.trainer import make_callbacks, make_loggers, make_trainer

CLASSES, EPOCHS, LR = 10, 3, 1e-4
Batch = dict[str, Tensor]


class Case(NamedTuple):
    """A network and how it is trained.

    Attributes:
        name: what the table calls it.
        backbone: makes the network without its last layer.
        side: height and width of an image.
        batch: images a step.
        steps: of an epoch.
        goal: what was aimed at.
    """

    name: str
    backbone: Callable[[], Backbone]
    side: int
    batch: int
    steps: int
    goal: str


def flat() -> Backbone:
    """The images themselves: with a head it is a linear network."""
    return Backbone({"flat": nn.Flatten()}, 3 * 8 * 8, Preprocessing(8, 8))


CASES = [
    Case("linear, batch 100", flat, 8, 100, 300, "400 µs above"),
    Case("simple_cnn, batch 100", partial(simple_cnn, image_size=32), 32, 100, 60, "1.12 x"),
    Case("resnet18 64 px, batch 32", partial(torchvision_backbone, "resnet18", None), 64, 32, 6, "1.02 x"),
]


class Cost(NamedTuple):
    """Seconds of CPU time: a step's, and those of what lies between two epochs."""

    step: float
    between: float


class InMemory:
    """Batches of tensors in a new order each epoch, which note when they are asked for."""

    def __init__(self, case: Case) -> None:
        noise = torch.Generator().manual_seed(0)
        count = case.batch * case.steps
        self.images = torch.randn(min(count, 2000), 3, case.side, case.side, generator=noise)
        self.labels = torch.randint(0, CLASSES, (len(self.images),), generator=noise)
        self.case = case
        self.marks: list[list[float]] = []

    def __len__(self) -> int:
        return self.case.steps

    def __iter__(self) -> Iterator[Batch]:
        order = torch.randint(0, len(self.images), (len(self), self.case.batch))
        return self.timed({"input": self.images[at], "target": self.labels[at], "index": at} for at in order)

    def timed(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The batches, with the time of each request written down."""
        marks: list[float] = []
        self.marks.append(marks)
        for number, batch in enumerate(batches):
            # To ask for the time costs a microsecond or more.
            if number in (0, len(self) - 1):
                marks.append(time.process_time())
            yield batch

    def cost(self) -> Cost:
        """What the epochs after the first took, which has what is done once."""
        others = self.marks[1:]
        steps = len(others) * (len(self) - 1)
        step = sum(marks[-1] - marks[0] for marks in others) / steps
        gaps = [later[0] - earlier[-1] for earlier, later in zip(self.marks, self.marks[1:], strict=False)]
        return Cost(step, median(gaps) - step)


class Loaded(InMemory):
    """The same from a DataLoader of the tensors."""

    def __iter__(self) -> Iterator[Any]:
        pick = torch.randint(0, len(self.images), (len(self) * self.case.batch,))
        tensors = TensorDataset(self.images[pick], self.labels[pick])
        return self.timed(iter(DataLoader(tensors, self.case.batch, shuffle=True)))


def network_of(case: Case) -> nn.Module:
    """The backbone with Graft's head, which is a normalisation and a linear layer."""
    backbone = case.backbone()
    return nn.Sequential(backbone, linear(backbone.width, CLASSES))


def bare(case: Case, folder: Path) -> Cost:
    """Nothing but the step."""
    data, network = InMemory(case), network_of(case)
    optimizer = torch.optim.AdamW(network.parameters(), LR)
    for _ in range(EPOCHS):
        for batch in data:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(batch["input"]), batch["target"])
            torch.autograd.backward(loss)
            optimizer.step()
    return data.cost()


class Usual(pl.LightningModule):
    """A classifier as Lightning's documentation writes one."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.train_accuracy, self.val_accuracy = MulticlassAccuracy(CLASSES), MulticlassAccuracy(CLASSES)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:  # noqa: D102
        images, labels = batch
        logits = self.network(images)
        loss = nn.functional.cross_entropy(logits, labels)
        self.train_accuracy(logits, labels)
        self.log("train/loss", loss, on_step=True, on_epoch=True, prog_bar=True)
        self.log("train/accuracy", self.train_accuracy, on_step=True, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:  # noqa: D102
        logits = self.network(batch[0])
        self.val_accuracy(logits, batch[1])
        self.log("val/loss", nn.functional.cross_entropy(logits, batch[1]), prog_bar=True)
        self.log("val/accuracy", self.val_accuracy, prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:  # noqa: D102
        return torch.optim.AdamW(self.parameters(), LR)


def usual(case: Case, folder: Path) -> Cost:
    """Lightning as it is usually set up."""
    data, module = Loaded(case), Usual(network_of(case))
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        callbacks=[
            ModelCheckpoint(folder / "usual", monitor="val/loss", save_last=True),
            LearningRateMonitor("step"),
            TQDMProgressBar(),
        ],
        logger=TensorBoardLogger(folder, "usual"),
        num_sanity_val_steps=0,
        enable_model_summary=False,
    )
    trainer.fit(module, data, DataLoader(TensorDataset(data.images[:100], data.labels[:100]), case.batch))
    return data.cost()


def ours(case: Case, folder: Path, *words: str) -> Cost:
    """What `graft train` sets up, and how it sets it up; `words` as on its command line."""
    config = RunConfig.of(compose("train", ["trainer=cpu", f"trainer.max_epochs={EPOCHS}", *words])[0])
    data, backbone = InMemory(case), case.backbone()
    plan = FreezePlan(Full(), backbone.stages, EPOCHS)
    module = TransferModule(
        backbone,
        linear(backbone.width, CLASSES),
        task=SingleLabel([str(label) for label in range(CLASSES)]),
        optimizer=partial(torch.optim.AdamW, lr=LR),
        schedule=build_later(config.scheduler, "scheduler"),
        rates={"lr": LR, "head_lr": None, "weight_decay": 0.01, "layer_decay": 1.0},
        plan=plan,
    )
    with redirect_stdout(Terminal()):
        callbacks = [FreezeCallback(plan), *make_callbacks(config, folder, validated=True)]
        loggers = [*make_loggers(config, folder), EpochTable(folder / "metrics.csv")]
        trainer = make_trainer(config, folder, callbacks, loggers)
        some = zip(data.images[:100], data.labels[:100], strict=True)
        validation: Any = [{"input": image, "target": label} for image, label in some]
        trainer.fit(module, data, DataLoader(validation, case.batch))
    return data.cost()


class Terminal(io.StringIO):
    """A terminal for what is drawn, which nobody sees."""

    def isatty(self) -> bool:  # noqa: D102
        return True

    def write(self, text: str) -> int:  # noqa: D102
        return len(text)


WAYS = {"bare": bare, "usual": usual, "ours": ours}


# What is done for speed: how it is undone, and words that do so.
HOOKS: dict[str, tuple[tuple[type, str, type] | None, str]] = {
    "the running hook's name is set past nn.Module": (
        (TransferModule, "__setattr__", pl.LightningModule),
        "",
    ),
    "the bar is told no more often than it is drawn": ((Bar, "on_train_batch_end", RichProgressBar), ""),
    "best.ckpt and last.ckpt are written once a second": (None, "callbacks.last.seconds=0"),
}
# Many short epochs, as the feature cache makes them.
SHORT = CASES[0]._replace(steps=30)


def without(hook: str, folder: Path) -> Cost:
    """`ours` on `SHORT`, with Lightning's own way in the place of one hook; of an empty name, of none."""
    patched, words = HOOKS.get(hook, (None, ""))
    with ExitStack() as stack:
        if patched:
            cls, name, lightning = patched
            stack.enter_context(patch.object(cls, name, getattr(lightning, name)))
        return ours(SHORT, folder, "trainer.max_epochs=15", *words.split())


def hooks(rounds: int) -> Table:
    """What each hook saves of a step and of an epoch's end: medians over the rounds, the order turned."""
    names = ["", *HOOKS]
    costs: dict[str, list[Cost]] = {name: [] for name in names}
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            with TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
                costs[name].append(without(name, Path(folder)))
    table = Table("what saves time", "of a step", "of an epoch's end")
    with_all = Cost(*(median(values) for values in zip(*costs[""], strict=True)))
    table.add_row("with all of it", f"{1e6 * with_all.step:.0f} µs", f"{1e3 * with_all.between:.1f} ms")
    for name in HOOKS:
        pairs = list(zip(costs[name], costs[""], strict=True))
        step = median(other.step - own.step for other, own in pairs)
        between = median(other.between - own.between for other, own in pairs)
        table.add_row(f"saved: {name}", f"{1e6 * step:.0f} µs", f"{1e3 * between:.1f} ms")
    return table


def main(pairs: str = "5") -> None:
    """Time all, round by round, and print the tables."""
    torch.set_num_threads(1)
    os.environ.setdefault("TERM", "xterm")
    quiet_lightning()
    warnings.filterwarnings("ignore", ".*isinstance\\(treespec, LeafSpec\\).*")
    above = ("usual above bare", "ours above bare")
    table = Table("", "bare step", "usual", "ours", "goal", *above, "epoch's end: bare, usual, ours")
    for case in CASES:
        rounds = [measured(case, turn) for turn in range(int(pairs))]
        table.add_row(case.name, *row(case, rounds))
    Console(width=140).print(table, hooks(int(pairs)))


def measured(case: Case, turn: int) -> dict[str, Cost]:
    """One round: all ways, each time another one first."""
    names = [*WAYS][turn % 3 :] + [*WAYS][: turn % 3]
    with TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        return {name: WAYS[name](case, Path(folder, name)) for name in names}


def row(case: Case, rounds: list[dict[str, Cost]]) -> list[str]:
    """The medians in words."""

    def ratio(way: str) -> str:
        found = [costs[way].step / costs["bare"].step for costs in rounds]
        return f"{median(found):.3f} x ({min(found):.2f}-{max(found):.2f})"

    def above(way: str) -> str:
        return f"{1e6 * median(costs[way].step - costs['bare'].step for costs in rounds):.0f} µs"

    step = f"{1e6 * median(costs['bare'].step for costs in rounds):.0f} µs"
    ends = " / ".join(f"{1e3 * median(costs[way].between for costs in rounds):.0f}" for way in WAYS)
    return [step, ratio("usual"), ratio("ours"), case.goal, above("usual"), above("ours"), f"{ends} ms"]


if __name__ == "__main__":
    main(*sys.argv[1:])
