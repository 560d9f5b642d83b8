"""How a run trains: the LightningModule, the Trainer, callbacks, loggers, the feature cache."""

from graft.reporting.loggers.step_table import StepTable as StepTable
from graft.reporting.loggers.tracking import mlflow_logger as mlflow_logger
from graft.reporting.loggers.tracking import wandb_logger as wandb_logger
from graft.training.callbacks.checkpoints import Checkpoints as Checkpoints
from graft.training.callbacks.ema import Ema as Ema
from graft.training.callbacks.progress import progress_bar as progress_bar
from graft.training.module import TransferModule as TransferModule
