"""All that Graft reads and sets of Lightning's private names.

They are as in Lightning 2.6.6; pyproject.toml holds it below 2.7, so each is to be looked at with 2.7. One
more is overridden: `_check_log_dir_exists`, in `graft.reporting.loggers.step_table`.
"""

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import nn

# The attribute of a LightningModule in which the name of the hook that runs stands.
NAME_OF_HOOK = "_current_fx_name"


def forget_restart(trainer: pl.Trainer) -> None:
    """Count the epoch as any other from its first batch on.

    Else Lightning would leave out a plateau schedule's step at the end of an epoch that was resumed.
    """
    trainer.fit_loop._restarting = False


def goes_on_from_here(trainer: pl.Trainer) -> bool:
    """Whether a checkpoint of this moment, after a batch, is one that Lightning's loops go on from exactly.

    It is right after an optimizer step that is followed by neither a validation nor the epoch's end.
    """
    fetcher, steps = trainer.fit_loop._data_fetcher, trainer.fit_loop.epoch_loop
    assert fetcher is not None
    return not (steps._is_training_done or steps._should_accumulate() or steps._should_check_val_fx(fetcher))


def keep_average_on(callback: WeightAveraging, device: torch.device) -> None:
    """Let the average be kept there, once there is one."""
    callback._device = device


def averaged(callback: WeightAveraging) -> nn.Module:
    """The module whose weights are the average, once there is one."""
    assert callback._average_model is not None
    module: nn.Module = callback._average_model.module
    return module
