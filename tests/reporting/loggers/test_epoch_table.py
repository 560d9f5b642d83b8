"""`metrics.csv` has one row an epoch, with the learning rates of that epoch."""

import pytest
from pytorch_lightning.callbacks import LearningRateMonitor

from graft.freezing import Full
from graft.freezing.apply import FreezeCallback
from graft.optim import step
from graft.reporting.loggers.epoch_table import EpochTable
from graft.runs.files import read_csv


@pytest.fixture
def table(tmp_path):
    return EpochTable(tmp_path / "metrics.csv")


def test_values_of_one_epoch_share_a_row(table):
    table.log_metrics({"val/loss": 2.0, "epoch": 0}, step=1)
    table.log_metrics({"train/loss": 3.0, "epoch": 0}, step=1)
    table.log_metrics({"val/loss": 1.0, "epoch": 1}, step=3)
    table.log_metrics({"train/loss": 2.0, "epoch": 1}, step=3)
    assert read_csv(table.path) == [
        {"epoch": "0", "val/loss": "2.0", "train/loss": "3.0"},
        {"epoch": "1", "val/loss": "1.0", "train/loss": "2.0"},
    ]


def test_learning_rates_belong_to_the_epoch_that_they_come_before(table):
    for epoch in range(3):
        table.log_metrics({"lr": 10.0**-epoch}, step=2 * epoch)
        table.log_metrics({"val/loss": 0.5, "epoch": epoch}, step=2 * epoch + 1)
        table.log_metrics({"train/loss": 0.5, "epoch": epoch}, step=2 * epoch + 1)
    assert [(row["epoch"], row["lr"]) for row in table.rows] == [(0, 1.0), (1, 0.1), (2, 0.01)]


def test_a_later_value_of_an_epoch_stands_for_an_earlier_one(table):
    table.log_metrics({"val/loss": 2.0, "epoch": 0})
    table.log_metrics({"val/loss": 1.0, "epoch": 0})
    assert table.rows == [{"epoch": 0, "val/loss": 1.0}]


def test_the_test_is_no_epoch(table):
    table.log_metrics({"train/loss": 3.0, "epoch": 0})
    table.log_metrics({"test/loss": 9.0, "epoch": 1})
    assert read_csv(table.path) == [{"epoch": "0", "train/loss": "3.0"}]


def test_an_epoch_that_was_not_reached_has_no_numbers(table):
    table.log_metrics({"train/loss": 3.0, "epoch": 4})
    assert table.row(4) == {"epoch": 4, "train/loss": 3.0}
    assert table.row(3) == {}


def test_single_precision_is_written_without_noise(table):
    table.log_metrics({"train/accuracy": 0.8999999761581421, "trainable_parameters": 25557032.0, "epoch": 0})
    assert table.rows == [{"epoch": 0, "train/accuracy": 0.9, "trainable_parameters": 25557030.0}]


def test_a_fit_leaves_a_row_an_epoch(transfer, plan, trainer, loader, table):
    module = transfer(lr=0.4, schedule=lambda optimizer, span: step(optimizer, span, step_size=1, gamma=0.5))
    callbacks = [FreezeCallback(plan(Full())), LearningRateMonitor(logging_interval="epoch")]
    fitted = trainer(epochs=3, callbacks=callbacks, loggers=[table], log_every_n_steps=1)
    fitted.fit(module, loader(10, 4), loader(6, 4))
    fitted.test(module, loader(6, 4), verbose=False)
    rows = read_csv(table.path)
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert [float(row["lr-SGD/backbone_no_decay"]) for row in rows] == [0.4, 0.2, 0.1]
    assert [float(row["lr-SGD/head"]) for row in rows] == [0.4, 0.2, 0.1]
    numbers = {"loss", "accuracy", "precision_macro", "recall_macro", "f1_macro"}
    expected = {f"{part}/{number}" for part in ("train", "val") for number in numbers}
    for row in rows:
        assert expected | {"train/penalty", "trainable_parameters"} <= set(row)
        assert all(value != "" for value in row.values())
    assert len({row["train/loss"] for row in rows}) == 3
