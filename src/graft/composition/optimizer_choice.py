"""What `optimizer=auto` comes to: the head of a frozen backbone is solved where nothing asks for epochs.

Imports no torch.
"""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from graft.configuration.keys import conf_dir, key_of, known_keys, plain
from graft.configuration.schema import SOLVER, Plain, flatten, get
from graft.errors import GraftError
from graft.runs.launch import launched

FROZEN = "graft.freezing.Frozen"
# Keys of the trainer that say how long, on what or by which steps to train.
OF_TRAINING = (
    *("max_epochs", "min_epochs", "max_steps", "min_steps", "max_time", "accumulate_grad_batches"),
    *("gradient_clip_val", "limit_train_batches", "overfit_batches", "val_check_interval"),
    *("check_val_every_n_epoch", "strategy", "num_nodes"),
)
# Options that leave the problem as it is.
NEUTRAL = {
    "augment": ("none",),
    "mix": ("none",),
    "regularizer": ("none",),
    "scheduler": ("cosine",),
    "head": ("linear",),
    # The second has no term.
    "adapt": ("none", "adabn"),
}
# Whose keys say nothing of how to train.
SAYS_NOTHING = ("head", "adapt")
# Keys outside of groups, and the values that leave the problem as it is.
AS_IT_IS: dict[str, tuple[object, ...]] = {
    "freeze.norm": (None, "frozen"),
    "distill.teacher": (None,),
    "cache.views": (None,),
    "cache.features": ("auto", "on", True),
    "lr_find": (False,),
}
# Callbacks that fit a solved head. The others wait for epochs or batches.
CALLBACKS = (
    "pytorch_lightning.callbacks.ModelCheckpoint",
    "pytorch_lightning.callbacks.LearningRateMonitor",
    "graft.training.Checkpoints",
    "graft.training.progress_bar",
)


def choose_optimizer(
    cfg: DictConfig, hydra_cfg: DictConfig, shipped: Plain, folders: Sequence[Path]
) -> tuple[Plain, list[str]]:
    """Put `optimizer=lbfgs` in the place of `optimizer=auto`, in `cfg` itself, where the head can be solved.

    Returns:
        The shipped keys, now of the option that is taken; and a line that says why a head that could have
        been solved is trained, where that is so.

    Raises:
        GraftError: `optimizer=lbfgs` is asked for beside what it has no use for.
    """
    chosen = hydra_cfg.runtime.choices.get("optimizer")
    solver = OmegaConf.select(cfg, "optimizer._target_") == SOLVER
    asking = what_asks_for_training(cfg, hydra_cfg, shipped)
    if solver and asking:
        raise GraftError(
            f"optimizer=lbfgs solves the head at once and has no use for {asking[0]}; leave one of them out"
        )
    if solver or OmegaConf.select(cfg, "freeze._target_") != FROZEN:
        return shipped, []
    if chosen != "auto":
        asking.insert(0, f"optimizer={chosen}")
    if asking:
        return shipped, [f"the head is trained, not solved, because of {', '.join(asking)}"]
    node = known_keys("train", {"optimizer": "lbfgs"}, [*folders, conf_dir()])["optimizer"]
    with open_dict(cfg):
        cfg.optimizer = OmegaConf.create(node)
    return {**shipped, "optimizer": node}, []


def what_asks_for_training(cfg: DictConfig, hydra_cfg: DictConfig, shipped: Plain) -> list[str]:
    """The parts of the configuration that a solved head has no use for, as one would type them."""
    raw = plain(cfg)
    choices, auto = hydra_cfg.runtime.choices, hydra_cfg.runtime.choices.get("optimizer") == "auto"
    files = flatten(shipped)
    changed = {key: value for key, value in flatten(raw).items() if key in files and files[key] != value}
    asking = []
    if auto:
        words = {key_of(word) for word in hydra_cfg.overrides.task}
        asking += sorted(key for key in {*changed, *words} if key.startswith("optimizer."))
    asking += [f"trainer.{key}" for key in OF_TRAINING if f"trainer.{key}" in changed]
    devices = raw["trainer"]["devices"]
    if devices != 1 and not (isinstance(devices, list) and len(devices) == 1):
        asking.append(f"trainer.devices={devices}")
    if launch := launched():
        asking.append(f"the {launch.size} processes of {launch.by}")
    for group, neutral in NEUTRAL.items():
        if choices.get(group, neutral[0]) not in neutral:
            asking.append(f"{group}={choices.get(group)}")
        elif group not in SAYS_NOTHING:
            asking += [key for key in changed if key.startswith(f"{group}.")]
    asking += [
        f"{key}={value}"
        for key, right in AS_IT_IS.items()
        if key in changed
        and (value := get(raw, key)) not in right
        and not (key == "cache.features" and not auto)
    ]
    named = raw["callbacks"].items()
    return asking + [f"callbacks={name}" for name, node in named if node.get("_target_") not in CALLBACKS]
