"""What TensorBoard shows beside the curves: pictures, and the HParams tab."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from torch import Tensor

# The HParams tab is for comparing runs: what people vary, and nothing else.
SHOWN = (
    "seed",
    "data.batch_size",
    "data.shots",
    "data.fraction",
    "backbone.weights",
    "freeze.k",
    "optimizer.lr",
    "optimizer.head_lr",
    "optimizer.weight_decay",
    "trainer.max_epochs",
)


def add_image(loggers: Sequence[Logger], tag: str, image: Tensor) -> None:
    """Show a picture `(3, H, W)` with values from 0 to 1."""
    for logger in _boards(loggers):
        logger.experiment.add_image(tag, image)


def add_figure(loggers: Sequence[Logger], tag: str, figure: Figure) -> None:
    """Show a matplotlib figure."""
    for logger in _boards(loggers):
        logger.experiment.add_figure(tag, figure, close=False)


def add_hyperparameters(
    loggers: Sequence[Logger], flat: Mapping[str, Any], metrics: Mapping[str, Any]
) -> None:
    """Fill the HParams tab, once, with what was chosen and what it reached.

    Args:
        loggers: those that are TensorBoard's are written to.
        flat: the configuration with dotted keys.
        metrics: final numbers such as `test/accuracy`.
    """
    chosen = {key: flat[key] for key in SHOWN if flat.get(key) is not None}
    for group in ("backbone", "freeze", "optimizer", "scheduler", "data"):
        chosen[group] = flat.get(f"{group}.name") or str(flat.get(f"{group}._target_")).rsplit(".", 1)[-1]
    wanted = ("val/loss", "val/accuracy", "test/accuracy", "test/f1_macro")
    final = {f"final/{key.replace('/', '_')}": metrics[key] for key in wanted if key in metrics}
    for logger in _boards(loggers):
        logger.log_hyperparams(chosen, final)


def _boards(loggers: Sequence[Logger]) -> list[TensorBoardLogger]:
    return [logger for logger in loggers if isinstance(logger, TensorBoardLogger)]
