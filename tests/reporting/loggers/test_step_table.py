"""The CSV logger's file goes on where a resumed run does."""

from pathlib import Path

from pytorch_lightning.loggers import CSVLogger

from graft.runs.files import read_csv
from graft.training import StepTable


def log(logger: CSVLogger, *steps: int, key: str = "loss") -> None:
    for step in steps:
        logger.log_metrics({key: 10.0 + step}, step)
    logger.save()


def steps(folder: Path) -> list[int]:
    return [int(row["step"]) for row in read_csv(folder / "metrics.csv")]


def test_it_writes_what_lightnings_own_does(tmp_path: Path) -> None:
    for logger in (StepTable(tmp_path / "ours"), CSVLogger(tmp_path / "theirs", name="", version="")):
        log(logger, 0, 1)
        log(logger, 2, key="accuracy")
    ours, theirs = ((tmp_path / name / "metrics.csv").read_bytes() for name in ("ours", "theirs"))
    assert ours == theirs


def test_rows_before_the_point_of_resuming_stay_and_later_ones_go(tmp_path: Path) -> None:
    log(StepTable(tmp_path), 0, 1, 2, 3)
    log(StepTable(tmp_path, purge_step=2), 2, 3, 4)
    assert steps(tmp_path) == [0, 1, 2, 3, 4]
    log(StepTable(tmp_path, purge_step=4), 5, key="accuracy")
    rows = read_csv(tmp_path / "metrics.csv")
    assert [(row["step"], row["loss"], row["accuracy"]) for row in rows[-2:]] == [
        ("3", "13.0", ""),
        ("5", "", "15.0"),
    ]


def test_nothing_is_touched_before_something_is_logged(tmp_path: Path) -> None:
    log(StepTable(tmp_path), 0, 1, 2)
    logger = StepTable(tmp_path, purge_step=1)
    logger.finalize("success")
    assert steps(tmp_path) == [0, 1, 2]


def test_earlier_rows_are_on_the_disk_at_once(tmp_path: Path) -> None:
    log(StepTable(tmp_path), 0, 1, 2)
    # Killed here, the resumed run would write nothing more.
    StepTable(tmp_path, purge_step=2).log_metrics({"loss": 1.0}, 2)
    assert steps(tmp_path) == [0, 1]


def test_a_run_that_goes_on_from_its_beginning_begins_the_file_anew(tmp_path: Path) -> None:
    log(StepTable(tmp_path), 0, 1, 2, key="old")
    log(StepTable(tmp_path, purge_step=0), 0)
    assert read_csv(tmp_path / "metrics.csv") == [{"loss": "10.0", "step": "0"}]


def test_half_a_row_of_a_killed_process_is_dropped(tmp_path: Path) -> None:
    log(StepTable(tmp_path), 0, 1, 2)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("13.")
    log(StepTable(tmp_path, purge_step=3), 3)
    assert steps(tmp_path) == [0, 1, 2, 3]
