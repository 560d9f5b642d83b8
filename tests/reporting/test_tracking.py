"""Trackers are told how a run ended; one that is not installed is refused before anything is written."""

from pathlib import Path

import pytest
from pytorch_lightning.loggers import WandbLogger

from graft.cli.console import run
from graft.reporting.loggers import tracking
from graft.training import trainer


class Told(WandbLogger):
    """A tracker that notes what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[object, ...]] = []

    def log_hyperparams(self, params: object) -> None:  # type: ignore[override]
        self.said.append(("settings", params))

    def log_metrics(self, metrics: object, step: int | None = None) -> None:  # type: ignore[override]
        self.said.append(("metrics", metrics))

    def log_image(self, key: str, images: list[object], step: int | None = None, **_: object) -> None:
        self.said.append(("image", key))

    def finalize(self, status: str) -> None:
        self.said.append(("finalized", status))

    @property
    def experiment(self) -> "Told":  # type: ignore[override]
        return self

    def finish(self) -> None:
        self.said.append(("finished",))


def test_a_tracker_is_told_settings_numbers_and_figures_and_closed(tmp_path: Path) -> None:
    logger, drawn = Told(), tmp_path / "confusion_matrix.png"
    drawn.touch()
    metrics = {"test/accuracy": 0.5, "test/accuracy_ci": [0.4, 0.6]}
    tracking.record([logger], {"seed": 1, "data._target_": "x"}, metrics, [drawn, tmp_path / "none.png"])
    tracking.end([logger])
    assert logger.said == [
        ("settings", {"seed": 1}),
        ("metrics", {"final/test/accuracy": 0.5}),
        ("image", "confusion_matrix"),
        ("finalized", "success"),
        ("finished",),
    ]


@pytest.mark.parametrize("name", trainer.TRACKERS)
def test_one_that_is_not_installed_is_refused_and_nothing_is_left(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trainer, "find_spec", lambda _: None)
    assert run(["train", "data=digits", f"logger={name}", f"hydra.run.dir={tmp_path / 'run'}"]) == 2
    assert f"logger={name} needs {name}: pip install 'graft-transfer[{name}]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_mlflow_keeps_its_runs_inside_the_run_folder(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    logger = tracking.mlflow_logger(str(tmp_path / "mlflow"))
    assert not (tmp_path / "mlflow").exists()
    logger.log_metrics({"a": 1.0})
    assert (tmp_path / "mlflow" / "mlflow.db").is_file()
