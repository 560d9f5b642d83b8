"""A log gets one line an epoch, with that epoch's numbers; a terminal gets a bar."""

import re
import sys

import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, RichProgressBar

from graft.reporting.loggers.epoch_table import EpochTable
from graft.runs.log import log_to
from graft.training import progress_bar
from graft.training.callbacks.progress import Bar, EpochLines

LINE = re.compile(
    r"epoch (\d+)/(\d+)  train/loss (\S+)  train/accuracy (\S+)  val/loss (\S+)  val/accuracy (\S+)  "
    r"\(\d+\.\d s\)"
)


@pytest.mark.parametrize(("terminal", "kind"), [(True, RichProgressBar), (False, EpochLines)])
def test_a_bar_is_drawn_in_a_terminal_alone(monkeypatch, terminal, kind):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    bar = progress_bar(refresh_rate=5)
    assert isinstance(bar, kind)
    assert not terminal or bar.refresh_rate == 5


@pytest.mark.parametrize(("rate", "told"), [(1, [1, 7]), (1000000, [1, 2, 3, 4, 5, 6, 7])])
def test_a_bar_is_told_of_a_batch_no_more_often_than_it_is_drawn(
    transfer, trainer, loader, monkeypatch, rate, told
):
    seen = []
    monkeypatch.setattr(RichProgressBar, "on_train_batch_end", lambda *args: seen.append(args[-1] + 1))
    trainer(callbacks=[Bar(refresh_rate=rate)]).fit(transfer(), loader(14, 2))
    assert seen == told


@pytest.mark.parametrize("interval", [1.0, 0.5])
def test_each_epoch_is_one_line_with_its_own_numbers(transfer, trainer, loader, tmp_path, capsys, interval):
    table = EpochTable(tmp_path / "metrics.csv")
    fitted = trainer(epochs=3, callbacks=[EpochLines()], loggers=[table], val_check_interval=interval)
    fitted.fit(transfer(), loader(16, 4), loader(6, 4))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(table.rows) == 3
    assert len({row["train/loss"] for row in table.rows}) == 3
    for line, row in zip(lines, table.rows, strict=True):
        epoch, of, *numbers = LINE.fullmatch(line).groups()
        assert (int(epoch), of) == (row["epoch"] + 1, "3")
        keys = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")
        assert [float(number) for number in numbers] == pytest.approx([row[key] for key in keys], rel=1e-3)


def test_without_validation_there_are_no_numbers_of_it(transfer, trainer, loader, capsys):
    trainer(epochs=2, callbacks=[EpochLines()]).fit(transfer(), loader(8, 4))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert all("train/loss" in line and "val/" not in line for line in lines)


def test_a_run_that_stops_early_says_its_last_epoch_once(transfer, trainer, loader, capsys):
    # Without a rate nothing gets better, so the second epoch is the last.
    stop = EarlyStopping("train/accuracy", patience=1, mode="max", min_delta=2.0)
    trainer(epochs=9, callbacks=[EpochLines(), stop]).fit(transfer(lr=0.0), loader(8, 4))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/9", "epoch 2/9"]


def test_testing_prints_no_line(transfer, trainer, loader, capsys):
    trainer(callbacks=[EpochLines()]).test(transfer(), loader(8, 4), verbose=False)
    assert capsys.readouterr().out == ""


def test_other_ranks_say_nothing(transfer, trainer, loader, capsys):
    lines = EpochLines()
    lines.disable()
    trainer(callbacks=[lines]).fit(transfer(), loader(4, 4))
    assert capsys.readouterr().out == ""
    assert EpochLines.shown


def test_the_lines_stand_in_the_log_too(transfer, trainer, loader, capsys, tmp_path):
    with log_to(tmp_path / "train.log"):
        trainer(callbacks=[EpochLines()]).fit(transfer(), loader(4, 4))
    assert capsys.readouterr().out.strip() in (tmp_path / "train.log").read_text()


class FailsInTheSecondEpoch(pl.Callback):
    def on_train_batch_start(self, trainer, *args):
        if trainer.current_epoch == 1:
            raise ValueError("enough")


def test_an_epoch_that_fails_is_not_said_to_be_done(transfer, trainer, loader, capsys):
    with pytest.raises(ValueError, match="enough"):
        trainer(epochs=3, callbacks=[EpochLines(), FailsInTheSecondEpoch()]).fit(transfer(), loader(4, 4))
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()] == ["epoch 1/3"]


def test_an_epoch_without_validation_does_not_repeat_the_last_one(transfer, trainer, loader, capsys):
    fitted = trainer(epochs=3, callbacks=[EpochLines()], check_val_every_n_epoch=2)
    fitted.fit(transfer(), loader(8, 4), loader(8, 4))
    assert ["val/loss" in line for line in capsys.readouterr().out.splitlines()] == [False, True, False]
