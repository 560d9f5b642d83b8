"""What Weights & Biases and MLflow are told beside the curves: settings, last numbers, figures."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, MLFlowLogger, WandbLogger
from pytorch_lightning.loggers.logger import rank_zero_experiment  # type: ignore[attr-defined]


def wandb_logger(
    save_dir: str,
    project: str = "graft",
    name: str | None = None,
    offline: bool = False,
    log_model: bool = False,
) -> WandbLogger:
    """Lightning's logger for Weights & Biases.

    Args:
        save_dir: where wandb makes a folder of its own.
        project: that the run belongs to.
        name: of the run; None: wandb makes one up.
        offline: whether all stays in the folder, as with WANDB_MODE=offline.
        log_model: whether checkpoints are sent too.
    """
    return WandbLogger(name=name, save_dir=save_dir, offline=offline, project=project, log_model=log_model)


def mlflow_logger(
    save_dir: str,
    experiment_name: str = "graft",
    run_name: str | None = None,
    tracking_uri: str | None = None,
    log_model: bool = False,
) -> MLFlowLogger:
    """Lightning's logger for MLflow; without an address a database in `save_dir`, with its files beside it.

    Args:
        save_dir: a folder that is made where it is needed.
        experiment_name: that the run belongs to.
        run_name: None: MLflow makes one up.
        tracking_uri: a server, a database or, where MLflow still allows it, a folder; None: what
            MLFLOW_TRACKING_URI says, else `mlflow.db` in `save_dir`.
        log_model: whether checkpoints are stored too.
    """
    address = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    settings: Any = {"experiment_name": experiment_name, "run_name": run_name, "log_model": log_model}
    if address is None:
        return _InFolder(Path(save_dir).absolute(), settings)
    return MLFlowLogger(tracking_uri=address, **settings)


class _InFolder(MLFlowLogger):
    """Keeps all in a folder, which is made when something is first logged, not before the run has begun."""

    def __init__(self, folder: Path, settings: Any) -> None:
        # An address that nothing is sent to: Lightning makes a client, which would make the database.
        files = (folder / "artifacts").as_uri()
        super().__init__(tracking_uri="http://localhost", artifact_location=files, **settings)
        self.folder = folder

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The client of MLflow."""
        if not self._initialized:
            from mlflow.tracking import MlflowClient

            self.folder.mkdir(parents=True, exist_ok=True)
            # A folder of files, MLflow's own default before, it no longer takes.
            self._tracking_uri = f"sqlite:///{self.folder / 'mlflow.db'}"
            self._mlflow_client = MlflowClient(self._tracking_uri)
        return super().experiment


def record(
    loggers: Sequence[Logger], flat: Mapping[str, object], metrics: Mapping[str, Any], figures: Sequence[Path]
) -> None:
    """Tell each tracker how the run ended.

    Args:
        loggers: those that are trackers are told.
        flat: the configuration with dotted keys.
        metrics: final numbers such as `test/accuracy`; only single numbers are told.
        figures: PNG files; those that are not there are left out.
    """
    final = {f"final/{key}": float(value) for key, value in metrics.items() if isinstance(value, int | float)}
    settings = {key: value for key, value in flat.items() if not key.endswith("_")}
    drawn = [path for path in figures if path.is_file()]
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.log_hyperparams(settings)
            logger.log_metrics(final)
            for path in drawn:
                logger.log_image(path.stem, [str(path)])
        elif isinstance(logger, MLFlowLogger):
            logger.log_hyperparams(settings)
            logger.log_metrics(final)
            for path in drawn:
                logger.experiment.log_artifact(logger.run_id, str(path), "figures")


def end(loggers: Sequence[Logger]) -> None:
    """Close what the loggers hold, so that the next run of this process begins one of its own."""
    for logger in loggers:
        logger.finalize("success")
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()
