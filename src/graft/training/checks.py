"""What a run cannot do here, refused before it starts."""

import torch

from graft.configuration.run_config import Node, RunConfig
from graft.data import Splits
from graft.errors import GraftError

PLATEAU = "graft.optim.plateau"


def check_device(accelerator: str, key: str = "trainer.accelerator") -> None:
    """Refuse an accelerator, as Lightning names it, that this machine lacks; `key` is where it was asked for.

    Raises:
        GraftError: names what was asked for and what works.
    """
    present = {
        "gpu": torch.cuda.is_available() or torch.backends.mps.is_available(),
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(accelerator, True):
        raise GraftError(f"{key}={accelerator}: no such device is found here; {key}=cpu works")


def check_precision(trainer: Node) -> None:
    """Refuse half precision without a GPU, where Lightning would quietly take another.

    Raises:
        GraftError: names what works.
    """
    if str(trainer["precision"]).startswith("16") and not torch.cuda.is_available():
        raise GraftError(
            f"trainer.precision={trainer['precision']} needs a GPU; on a CPU use trainer.precision=bf16-mixed"
        )


def check_schedule(config: RunConfig) -> None:
    """Refuse a schedule without rates by phase where validation may end the first phase of `freeze=lp_ft`.

    Where the phases are known beforehand, `graft.optim.plateau` refuses by itself.

    Raises:
        GraftError: names the keys and what is right.
    """
    freeze = config.freeze
    switches = freeze["_target_"] == "graft.freezing.LpFt" and freeze.get("patience") is not None
    if config.scheduler["_target_"] == PLATEAU and switches and freeze.get("head_lr_factor") != 1:
        raise GraftError(
            f"freeze.patience={freeze['patience']} may end the probe early, but scheduler=plateau keeps no "
            "rates by phase, which freeze.head_lr_factor wants; take scheduler=constant, step or cosine, or "
            "freeze.head_lr_factor=1"
        )


def check_validation(config: RunConfig, validated: bool) -> None:
    """Refuse what waits for a validation metric where nothing validates.

    Raises:
        GraftError: names the option and the way out.
    """
    waiting = {
        f"callbacks.{name}": node["monitor"] for name, node in config.callbacks.items() if _stops(node)
    }
    if config.scheduler["_target_"] == PLATEAU:
        waiting["scheduler=plateau"] = "val/loss"
    if config.calibrate and not validated:
        raise GraftError(
            "calibrate=true fits on validation images, but nothing validates (data.val_fraction=0)"
        )
    if waiting and not validated:
        key, monitor = next(iter(waiting.items()))
        raise GraftError(
            f"{key} watches {monitor}, but nothing validates (data.val_fraction=0); give one or the other up"
        )


def _stops(node: Node) -> bool:
    return bool(node["_target_"].endswith("EarlyStopping")) and str(node.get("monitor")).startswith("val/")


def check_processes(config: RunConfig, size: int, splits: Splits) -> None:
    """Refuse what the `size` processes that train together cannot share.

    Raises:
        GraftError: names the key and what is right.
    """
    batch, trainer = config.data.get("batch_size", 32), config.trainer
    if batch % size:
        raise GraftError(
            f"data.batch_size={batch} is the batch of all {size} processes together; it must be a multiple "
            f"of {size}"
        )
    training, validating = len(splits["train"]), len(splits["val"])
    if size > 1 and (training < 2 * size or 0 < validating < size):
        raise GraftError(
            f"data: {training} images to train on and {validating} to validate are too few for "
            f"{size} processes"
        )
    if size > 1 and trainer.get("overfit_batches"):
        raise GraftError("trainer.overfit_batches is for one process; give trainer.devices=1")
    if trainer.get("sync_batchnorm") and not torch.cuda.is_available():
        raise GraftError("trainer.sync_batchnorm=true works on GPUs only")


def check_calibration(split: str, splits: Splits) -> None:
    """Refuse to calibrate without validation images, or on those of `split`, which are tested then.

    Raises:
        GraftError: names what is asked for.
    """
    if not len(splits["val"]):
        raise GraftError(f"calibrate=true fits on validation images, and there are none ({splits.rule})")
    if split in ("val", "all"):
        raise GraftError(f"calibrate=true fits on the validation images, so split={split} would test on them")
