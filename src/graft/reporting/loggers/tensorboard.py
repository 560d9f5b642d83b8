"""What TensorBoard shows beside the curves: pictures, and the HParams tab."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from torch import Tensor

from graft.configuration.plain_text import encodable

# The HParams tab is for comparing runs: what people vary, and nothing else. Of each of these groups the
# chosen option is shown; of those whose keys are all of that kind, every key; of the others, single ones.
NAMED = (
    *("data", "augment", "mix", "backbone", "head", "freeze"),
    *("optimizer", "scheduler", "regularizer"),
)
WHOLE = ("augment", "mix", "head", "freeze", "scheduler", "regularizer", "loss")
SINGLE = (
    "seed",
    "data.batch_size",
    "data.shots",
    "data.fraction",
    "backbone.weights",
    "backbone.image_size",
    "optimizer.lr",
    "optimizer.head_lr",
    "optimizer.layer_decay",
    "optimizer.weight_decay",
    "callbacks.ema.decay",
    "trainer.max_epochs",
    "trainer.accumulate_grad_batches",
)
DISTILLED = ("distill.teacher", "distill.temperature", "distill.weight")


def add_image(loggers: Sequence[Logger], tag: str, image: Tensor) -> None:
    """Show a picture `(3, H, W)` with values from 0 to 1."""
    for logger in _boards(loggers):
        logger.experiment.add_image(tag, image)


def add_figure(loggers: Sequence[Logger], tag: str, path: Path) -> None:
    """Show a figure that was written as PNG, so that it is drawn once."""
    for logger in _boards(loggers):
        with Image.open(path) as image:
            logger.experiment.add_image(tag, np.asarray(image.convert("RGB")), dataformats="HWC")


def add_hyperparameters(
    loggers: Sequence[Logger],
    flat: Mapping[str, object],
    metrics: Mapping[str, Any],
    swept: Mapping[str, object] | None = None,
) -> None:
    """Fill the HParams tab, once, with what was chosen and what it reached.

    Args:
        loggers: those that are TensorBoard's are written to.
        flat: the configuration with dotted keys.
        metrics: final numbers such as `test/accuracy`.
        swept: of a job of a sweep, what the sweep varies; then nothing else is shown.
    """
    chosen = _chosen(flat) if swept is None else swept
    # Lists become one text, because Lightning would make a key of each entry.
    shown = {
        key: encodable(str(value)) if isinstance(value, list | dict | str) else value
        for key, value in chosen.items()
    }
    wanted = ("val/loss", "val/accuracy", "test/accuracy", "test/f1_macro")
    final = {f"final/{key.replace('/', '_')}": metrics[key] for key in wanted if key in metrics}
    for logger in _boards(loggers):
        logger.log_hyperparams(shown, final)


def _chosen(flat: Mapping[str, object]) -> dict[str, object]:
    """What people vary."""
    shown = [*SINGLE, *(key for key in flat if key.split(".")[0] in WHOLE and not key.endswith("_"))]
    if flat.get("distill.teacher") is not None:
        shown += DISTILLED
    chosen = {key: value for key in shown if (value := flat.get(key)) is not None}
    for group in NAMED:
        chosen[group] = flat.get(f"{group}.name") or str(flat.get(f"{group}._target_")).rsplit(".", 1)[-1]
    return chosen


def _boards(loggers: Sequence[Logger]) -> list[TensorBoardLogger]:
    return [logger for logger in loggers if isinstance(logger, TensorBoardLogger)]
