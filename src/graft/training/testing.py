"""Testing a model once on a list of images: the metrics, and what it said of each image."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
import torch
from rich.table import Table
from torch import Tensor

from graft.data import SampleData, SampleDataModule, Splits, evaluation_transform
from graft.errors import GraftError
from graft.evaluation.answers import Answers
from graft.evaluation.assessment import INTERVAL, Metrics, spelled
from graft.evaluation.calibration import at_bound, fit_temperature
from graft.evaluation.unknown import known_metrics
from graft.models.bundle import Bundle
from graft.models.known import Known
from graft.processes.lightning import lone_trainer
from graft.reporting.console import PlainConsole
from graft.runs import RunFolder
from graft.runs.log import say
from graft.tasks import SingleLabel, Task
from graft.training.callbacks.progress import progress_bar
from graft.training.module import Batch, TransferModule


class ModelOutputs(NamedTuple):
    """What a test gives.

    Attributes:
        task: that was tested.
        metrics: `test/loss`, `test/accuracy`, …, as they were tallied.
        indices: `(N,)` which image each row of `logits` belongs to.
        labels: `(N,)` true classes.
        logits: `(N, C)`, float32.
        kept: `(N, …)`, what the module keeps beside them; of a bundle that can say that a sample is none of
            its classes, `(N,)` scores.
    """

    task: Task
    metrics: dict[str, float]
    indices: Tensor
    labels: Tensor
    logits: Tensor
    kept: Tensor

    def answers(self, data: SampleData, temperature: float = 1.0) -> Answers:
        """What the model said of each image of the data that was tested."""
        names = [data.samples.names[index] for index in self.indices.tolist()]
        return self.task.answers(names, self.labels, self.logits, temperature)


def tested_module(bundle: Bundle) -> TransferModule:
    """The bundle's model as it is tested at a run's end and by every later command.

    It is the same in both, and compiled in neither, so that both give the same bits. Beside logits it keeps
    the scores by which samples are known, if the bundle has them.
    """
    return module_keeping(bundle, None if bundle.known is None else bundle.known.scores)


def module_keeping(bundle: Bundle, keep: Callable[[Tensor, Tensor], Tensor] | None) -> TransferModule:
    """As `tested_module`, with something else that is kept; see `TransferModule`."""
    return TransferModule(
        bundle.backbone,
        bundle.head,
        task=SingleLabel(bundle.class_names),
        channels_last=bundle.tested.channels_last,
        temperature=bundle.temperature,
        keep=keep,
    )


def loading_for(
    bundle: Bundle, data: SampleData, splits: Splits, batch_size: int | None, num_workers: int | None
) -> SampleDataModule:
    """Samples as the bundle sees them; without a batch size, as many at a time as it was tested with.

    Raises:
        GraftError: they are of another kind than the model takes, or asked for otherwise.
    """
    if bundle.kind.noun != data.kind.noun:
        raise GraftError(f"data: it has {data.kind.plural}, and the model takes {bundle.kind.plural}")
    if data.kind.suited(bundle.preprocessing) != bundle.preprocessing:
        how = f"prepares its {bundle.kind.plural} as when it was trained"
        raise GraftError(f"data: the model {how}; leave out what data says of that")
    return SampleDataModule(
        data,
        splits,
        bundle.preprocessing,
        evaluation_transform,
        batch_size=batch_size or bundle.tested.batch_size,
        num_workers=num_workers,
    )


def make_tester(bundle: Bundle, accelerator: str, folder: Path) -> pl.Trainer:
    """A Trainer that only tests and predicts, at the precision that the bundle's run was tested at."""
    return lone_trainer(
        accelerator,
        precision=bundle.tested.precision,
        callbacks=[progress_bar()],
        default_root_dir=folder,
    )


def run_test(trainer: pl.Trainer, module: TransferModule, loader: Iterable[Batch]) -> ModelOutputs:
    """Run the module over the loader's images, in order."""
    trainer.test(module, dataloaders=loader, verbose=False)
    metrics = {f"test/{key}": value for key, value in module.tally("test").compute().items()}
    columns = (torch.cat(column) for column in zip(*module.outputs, strict=True))
    return ModelOutputs(module.task, metrics, *columns)


def calibrate(bundle: Bundle, outputs: ModelOutputs) -> None:
    """Fit the bundle's temperature to its answers for images that validate, and are not tested."""
    temperature = fit_temperature(outputs.logits, outputs.labels)
    if temperature is None:
        say(
            f"warning: calibrate: all {len(outputs.labels)} validation images are right, so no temperature "
            "is best; it stays 1"
        )
    elif at_bound(temperature):
        say(
            f"warning: calibrate: the temperature {temperature:.4g} is at the bound of its search; the "
            f"{len(outputs.labels)} validation images say that the model knows "
            + ("next to nothing of them" if temperature > 1 else "all but all of them")
        )
    bundle.temperature = 1.0 if temperature is None else temperature


def write_test(
    folder: RunFolder,
    result: ModelOutputs,
    data: SampleData,
    temperature: float | None,
    known: Known | None = None,
) -> Metrics:
    """Write what the task makes of a test on `data`, whose classes are the model's.

    Returns:
        The metrics: those that were tallied, those of `Task.write`, those of `known_metrics` where the model
        can say that a sample is none of its classes, and the temperature of its softmax where it was
        calibrated.
    """
    plain = result.answers(data)
    answers = plain if temperature is None else result.answers(data, temperature)
    indices = result.indices.tolist()
    measured = result.task.write(
        folder,
        answers,
        lambda row: data.kind.card(data.samples[indices[row]]),
        None if temperature is None else plain,
    )
    # What the tally has too is the tally's, to the last digit as validation has it.
    metrics: Metrics = {**result.metrics, **measured, **result.metrics}
    if known is not None:
        _, none, sets = known.judge_scores(result.kept, result.logits)
        told = known_metrics(none, sets, result.labels.numpy())
        metrics |= {f"test/{key}": value for key, value in told.items()}
    return metrics if temperature is None else {**metrics, "temperature": temperature}


def show_test(metrics: Metrics, heading: str) -> None:
    """Print one table of a test's numbers with their intervals, where there are some."""
    table = Table("metric", heading, "95 % interval", box=None)
    for key in metrics:
        if key.startswith(("test/", "unknown/")) and not key.endswith((INTERVAL, "/errors", "/samples")):
            table.add_row(key.removeprefix("test/"), *spelled(metrics, key))
    if table.row_count:
        PlainConsole().print(table)


def calibration_line(metrics: Metrics) -> str:
    """What calibration did to the test's numbers."""
    parts = [
        f"{key} {metrics[f'uncalibrated/{key}']:.4f} before, {metrics[f'test/{key}']:.4f} after"
        for key in ("ece", "log_loss")
    ]
    return f"calibrated on validation at temperature {metrics['temperature']:.3f}: {'; '.join(parts)}"
