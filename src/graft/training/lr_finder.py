"""Lightning's learning-rate finder, with the rates of all groups kept in proportion."""

import copy
import tempfile
from dataclasses import replace

from pytorch_lightning.tuner.tuning import Tuner
from torch.optim import Optimizer

from graft.configuration.run_config import Node, RunConfig
from graft.errors import GraftError
from graft.freezing.apply import apply
from graft.processes.lightning import lone_trainer
from graft.processes.random_state import random_state, set_random_state
from graft.training.assembly import Parts, rates
from graft.training.module import TransferModule

STEPS = 100


def at_found_rates(config: RunConfig, parts: Parts) -> RunConfig:
    """Search for rates and train at them; says which.

    Random streams are afterwards as they were.

    Returns:
        The configuration with the rates and without the search: the run can be repeated and resumed as it is.

    Raises:
        GraftError: no rate stands out.
    """
    streams = random_state()
    factor = found_factor(parts, config.trainer)
    set_random_state(streams)
    config = replace(config, lr_find=False, optimizer=scaled(config.optimizer, factor))
    words = ", ".join(f"optimizer.{key}={config.optimizer.get(key)}" for key in ("lr", "head_lr"))
    print(f"lr_find: {words}", flush=True)
    parts.module.set_rates(rates(config.optimizer))
    return config


def found_factor(parts: Parts, trainer: Node) -> float:
    """What all learning rates should be multiplied by, says a range test (Smith 2017, arXiv 1506.01186).

    For `STEPS` batches, frozen as in the first epoch, the rate grows exponentially; the one where the loss
    falls fastest is chosen. Lightning gives every group the same rate meanwhile and suggests one for all.
    Here each step is taken at rates in the groups' own proportions. What is trained is a copy of the module.

    Raises:
        GraftError: no rate stands out.
    """
    tried = copy.deepcopy(parts.module)
    apply(parts.plan, tried.backbone.stages, 0)
    trained = [group for group in tried.groups if any(p.requires_grad for p in group["params"])]
    lead = max(group["lr"] for group in trained)
    tried.configure_optimizers = lambda: in_proportion(tried, lead)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        tester = lone_trainer(
            trainer["accelerator"],
            trainer["devices"],
            precision=trainer["precision"],
            max_steps=STEPS,
            enable_progress_bar=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
            default_root_dir=folder,
        )
        try:
            finder = Tuner(tester).lr_find(
                tried, parts.loading.train_dataloader(), num_training=STEPS, update_attr=False
            )
        except GraftError as error:
            raise GraftError(f"lr_find: {error}; give optimizer.lr instead") from error
    suggestion = finder.suggestion() if finder is not None else None
    if suggestion is None:
        raise GraftError("lr_find: the loss falls at no rate in particular; give optimizer.lr instead")
    return float(suggestion / lead)


def in_proportion(module: TransferModule, lead: float) -> Optimizer:
    """The module's optimizer, whose steps multiply each group's rate by its proportion to `lead`."""
    assert module.optimizer_factory is not None
    shares = [group["lr"] / lead for group in module.groups]
    optimizer = module.optimizer_factory(module.groups)

    def scale(optimizer: Optimizer, *_: object) -> None:
        for group, share in zip(optimizer.param_groups, shares, strict=True):
            group["shared"] = group["lr"]
            group["lr"] *= share

    def restore(optimizer: Optimizer, *_: object) -> None:
        for group in optimizer.param_groups:
            group["lr"] = group.pop("shared")

    optimizer.register_step_pre_hook(scale)
    optimizer.register_step_post_hook(restore)
    return optimizer


def scaled(optimizer: Node, factor: float) -> Node:
    """The optimizer's settings with every learning rate multiplied, to three digits."""
    settings = {**optimizer, "lr": float(f"{optimizer['lr'] * factor:.3g}")}
    if isinstance(optimizer.get("head_lr"), int | float):
        settings["head_lr"] = float(f"{optimizer['head_lr'] * factor:.3g}")
    return settings
