"""The end of a run with a target domain: its model tested there, or where no label is known, asked there."""

from collections.abc import Mapping, Sequence

import pytorch_lightning as pl

from graft.data import SampleDataModule
from graft.data.domains import TargetDomain
from graft.evaluation.assessment import Metrics
from graft.models.bundle import Bundle
from graft.runs import RunFolder
from graft.runs.files import write_csv
from graft.runs.seen import Seen
from graft.training.testing import loading_for, run_test, tested_module, write_test


def test_on_target(
    folder: RunFolder,
    target: TargetDomain,
    beside: SampleDataModule,
    bundle: Bundle,
    tester: pl.Trainer,
    temperature: float | None,
) -> Metrics:
    """Test a bundle on the target's test samples, and write what came out into the run's folder `target`.

    Args:
        folder: the run.
        target: the domain; where its labels are unknown, predictions are all there is.
        beside: how its samples are loaded.
        bundle: the model.
        tester: of one process.
        temperature: of the model's softmax, where it was calibrated.

    Returns:
        `target/accuracy` and the rest; empty without labels.
    """
    data = target.labelled(bundle.class_names)
    loading = loading_for(bundle, data, target.splits, beside.batch_size, beside.num_workers)
    result = run_test(tester, tested_module(bundle), loading.ordered_loader("test"))
    inner = RunFolder(folder.target)
    if target.labels is None:
        rows = result.task.rows(result.answers(data, temperature or 1.0))
        write_csv(inner.predictions, [{k: v for k, v in row.items() if k != "label"} for row in rows])
        return {}
    measured = write_test(inner, result, data, temperature, bundle.known)
    return {
        f"target/{key.removeprefix('test/')}": value
        for key, value in measured.items()
        if key.startswith("test/")
    }


def oracle_of(rows: Sequence[Mapping[str, float]], epoch: int) -> Metrics:
    """What target labels would have told of the epochs of a run, and of the one that was chosen without them.

    Args:
        rows: of `metrics.csv`.
        epoch: that was chosen.

    Returns:
        `oracle/accuracy`, of the chosen epoch's validation; `oracle/best_accuracy`, of the epoch where it was
        highest, the earliest on ties; and `oracle/best_epoch`. Empty without labels.
    """
    known = {int(row["epoch"]): row["oracle/accuracy"] for row in rows if "oracle/accuracy" in row}
    if epoch not in known:
        return {}
    best = max(known, key=lambda number: known[number])
    return {
        "oracle/accuracy": known[epoch],
        "oracle/best_accuracy": known[best],
        "oracle/best_epoch": best,
    }


def seen_of(target: TargetDomain) -> Seen:
    """What the run saw of the target, without its labels."""
    train, val = (
        frozenset(target.data.identity(int(index)) for index in target.splits[split])
        for split in ("train", "val")
    )
    return Seen(train, val - train)
