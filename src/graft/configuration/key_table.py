"""The key table: all that Graft knows of each configuration key. Imports neither torch nor numpy.

Which keys there are, and their defaults, the shipped YAML files say. A key that is not in this table may hold
what its default's type allows, and it is a part of what a run is.
"""

from dataclasses import dataclass
from enum import Enum

from graft.configuration.rules import (
    ACCELERATOR,
    BATCHES,
    BETAS,
    BETWEEN,
    CLASS_WEIGHTS,
    DEVICES,
    DURATION,
    FILES,
    FLAG,
    NAME,
    NAMES,
    NAMES_ONCE,
    NEAR,
    NOT_NEGATIVE,
    OVERFIT,
    PART_OF_ALL,
    PATH,
    PATTERNS,
    POSITIVE,
    PRECISIONS,
    RATE,
    RUN_NAME,
    RUNS,
    SEED,
    SHARE,
    SORT,
    TRANSFORM,
    TWO_SHARES,
    UNIT,
    Rule,
    one_of,
    or_null,
    whole,
)


class Says(Enum):
    """What a key, with all keys below it, says of a run.

    Attributes:
        WHAT: what the run is. Another value makes another run.
        HOW: how it is computed; what it comes to is the same but for rounding. It may change in a run that
            goes on, it makes no other job of a sweep, and it does not tell runs apart.
        LEFT: what the run leaves beside its result. It is settled when the run begins; it does not tell runs
            apart.
        START: how this one start came about. It is never recorded.
    """

    WHAT = "what"
    HOW = "how"
    LEFT = "left"
    START = "start"


class Part(Enum):
    """How many objects the option of a group builds."""

    ONE = 1
    SEVERAL = 2


@dataclass(frozen=True)
class Key:
    """What is known of one key.

    Attributes:
        rule: what it may hold; None: what the type of its shipped default allows.
        says: what it says of a run.
        part: for a group of options, how many objects it builds.
        longer: a run that goes on may have another value, although that makes another run of it.
        moves: where the run's images are; a run that goes on finds them elsewhere, if they are the same.
        loading: one of the keys that all options of `data` have (conf/data/_loading.yaml).
        text: a number that is typed is text.
    """

    rule: Rule | None = None
    says: Says = Says.WHAT
    part: Part | None = None
    longer: bool = False
    moves: bool = False
    loading: bool = False
    text: bool = False


KEYS: dict[str, Key] = {
    "name": Key(RUN_NAME, Says.LEFT, text=True),
    "seed": Key(SEED),
    "data": Key(part=Part.ONE),
    "data.batch_size": Key(whole(1), loading=True),
    "data.num_workers": Key(or_null(whole(0)), Says.HOW, loading=True),
    "data.cache_images": Key(one_of("auto", "ram", "disk", "off", False), loading=True),
    "data.val_fraction": Key(SHARE, loading=True),
    "data.test_fraction": Key(BETWEEN, loading=True),
    "data.split_seed": Key(whole(0), loading=True),
    "data.folds": Key(or_null(whole(2)), loading=True),
    "data.fold": Key(or_null(whole(1)), loading=True),
    "data.shots": Key(or_null(whole(1)), loading=True),
    "data.fraction": Key(PART_OF_ALL, loading=True),
    "data.size": Key(whole(1)),
    "data.file": Key(PATH, moves=True),
    "data.root": Key(PATH, moves=True),
    "augment": Key(part=Part.ONE),
    "augment.crop_scale": Key(or_null(TWO_SHARES)),
    "augment.crop_padding": Key(or_null(whole(0))),
    "augment.policy": Key(or_null(TRANSFORM)),
    "augment.horizontal_flip": Key(UNIT),
    "mix": Key(part=Part.ONE),
    "mix.alpha": Key(POSITIVE),
    "mix.mixup_alpha": Key(POSITIVE),
    "mix.cutmix_alpha": Key(POSITIVE),
    "backbone": Key(part=Part.ONE),
    "backbone.name": Key(NAME),
    "backbone.weights": Key(PATH),
    "backbone.image_size": Key(or_null(whole(1))),
    "backbone.drop_path": Key(or_null(SHARE)),
    "backbone.pooling": Key(one_of("max", "avg")),
    "head": Key(part=Part.ONE),
    "head.hidden": Key(whole(1)),
    "head.standardize": Key(or_null(FLAG)),
    "head.dropout": Key(SHARE),
    "freeze": Key(part=Part.ONE),
    "freeze.k": Key(whole(1)),
    "freeze.at": Key(whole(0)),
    "freeze.every": Key(whole(1)),
    "freeze.epochs": Key(whole(1)),
    "freeze.patience": Key(or_null(whole(1))),
    "freeze.head_lr_factor": Key(POSITIVE),
    "freeze.r": Key(whole(1)),
    "freeze.alpha": Key(POSITIVE),
    "freeze.norm": Key(or_null(one_of("frozen", "affine", "statistics", "train"))),
    "freeze.rules": Key(PATTERNS),
    "optimizer": Key(part=Part.ONE),
    "optimizer.lr": Key(POSITIVE),
    "optimizer.head_lr": Key(or_null(RATE)),
    "optimizer.layer_decay": Key(PART_OF_ALL),
    "optimizer.weight_decay": Key(or_null(NOT_NEGATIVE)),
    "optimizer.momentum": Key(SHARE),
    "optimizer.betas": Key(BETAS),
    "optimizer.eps": Key(POSITIVE),
    "optimizer.max_iter": Key(whole(1)),
    "optimizer.tolerance_grad": Key(POSITIVE),
    "scheduler": Key(part=Part.ONE),
    "scheduler.warmup_epochs": Key(NOT_NEGATIVE),
    "scheduler.final": Key(UNIT),
    "scheduler.step_size": Key(whole(1)),
    "scheduler.gamma": Key(POSITIVE),
    "scheduler.factor": Key(BETWEEN),
    "scheduler.patience": Key(whole(1)),
    "scheduler.min_delta": Key(NOT_NEGATIVE),
    "regularizer": Key(part=Part.ONE),
    "regularizer.weight": Key(NOT_NEGATIVE),
    "regularizer.alpha": Key(NOT_NEGATIVE),
    "regularizer.beta": Key(NOT_NEGATIVE),
    "regularizer.last": Key(or_null(whole(1))),
    "regularizer.k": Key(whole(1)),
    "regularizer.p": Key(UNIT),
    "loss.label_smoothing": Key(SHARE),
    "loss.class_weights": Key(CLASS_WEIGHTS),
    "trainer": Key(part=Part.ONE),
    "trainer.max_epochs": Key(whole(1), longer=True),
    "trainer.min_epochs": Key(or_null(whole(1))),
    "trainer.max_steps": Key(whole(-1)),
    "trainer.min_steps": Key(or_null(whole(1))),
    "trainer.max_time": Key(or_null(DURATION)),
    "trainer.limit_train_batches": Key(BATCHES),
    "trainer.limit_val_batches": Key(BATCHES),
    "trainer.limit_test_batches": Key(BATCHES),
    "trainer.limit_predict_batches": Key(BATCHES),
    "trainer.overfit_batches": Key(OVERFIT),
    "trainer.val_check_interval": Key(BATCHES),
    "trainer.check_val_every_n_epoch": Key(whole(1)),
    "trainer.log_every_n_steps": Key(whole(1)),
    "trainer.num_sanity_val_steps": Key(whole(-1)),
    "trainer.gradient_clip_algorithm": Key(one_of(None, "norm", "value")),
    "trainer.deterministic": Key(one_of(None, True, False, "warn")),
    "trainer.benchmark": Key(one_of(None, True, False)),
    "trainer.profiler": Key(one_of(None, "simple", "advanced")),
    "trainer.accelerator": Key(ACCELERATOR, Says.HOW),
    "trainer.devices": Key(DEVICES, Says.HOW),
    "trainer.num_nodes": Key(whole(1), Says.HOW),
    "trainer.strategy": Key(one_of("auto", "ddp", "fsdp")),
    "trainer.precision": Key(one_of(*PRECISIONS)),
    "trainer.accumulate_grad_batches": Key(whole(1)),
    "trainer.gradient_clip_val": Key(or_null(POSITIVE)),
    "trainer.enable_model_summary": Key(says=Says.LEFT),
    "logger": Key(says=Says.LEFT, part=Part.SEVERAL),
    "callbacks": Key(part=Part.SEVERAL),
    "callbacks.ema.decay": Key(SHARE),
    "callbacks.ema.recalibrate": Key(whole(0)),
    "callbacks.last": Key(says=Says.LEFT),
    "callbacks.last.minutes": Key(NOT_NEGATIVE),
    "callbacks.last.seconds": Key(NOT_NEGATIVE),
    "callbacks.learning_rate": Key(says=Says.LEFT),
    "callbacks.progress": Key(says=Says.LEFT),
    "callbacks.progress.refresh_rate": Key(says=Says.HOW),
    "distill.teacher": Key(PATH),
    "distill.temperature": Key(POSITIVE),
    "distill.weight": Key(UNIT),
    "distill.trust": Key(NAMES),
    "cache.features": Key(one_of("auto", "on", "off", True, False)),
    "cache.dir": Key(PATH, Says.HOW),
    "cache.max_bytes": Key(whole(0), Says.HOW),
    "cache.views": Key(or_null(whole(1))),
    "cache.precision": Key(one_of("float32", "fast")),
    "wise_ft.alpha": Key(or_null(UNIT)),
    "threads": Key(or_null(whole(1)), Says.HOW),
    "test": Key(says=Says.HOW),
    "resume": Key(PATH, Says.START),
    "trust": Key(NAMES, Says.START),
    "sweep": Key(says=Says.START),
    "sweep.resume": Key(PATH, Says.START),
    "sweep.trial": Key(PATH, Says.START),
    "notes": Key(says=Says.START),
    "run": Key(PATH),
    "source": Key(PATH),
    "sort": Key(or_null(SORT)),
    "over": Key(NAMES),
    "precision": Key(one_of("float32", "fast")),
    "num_workers": Key(or_null(whole(0))),
    "batch_size": Key(or_null(whole(1))),
    "top_k": Key(or_null(whole(1))),
    "near": Key(or_null(NEAR)),
    "samples": Key(whole(1)),
    "backbones": Key(or_null(NAMES_ONCE), text=True),
    "weights": Key(FILES),
    "runs": Key(or_null(RUNS), text=True),
    "folds": Key(whole(2)),
    "repeats": Key(whole(1)),
    "split": Key(one_of("train", "val", "test", "all")),
    "accelerator": Key(ACCELERATOR),
}


def _that_say(*says: Says) -> tuple[str, ...]:
    return tuple(name for name, key in KEYS.items() if key.says in says)


RULES = {name: key.rule for name, key in KEYS.items() if key.rule is not None}
# Keys that hold paths or names: numbers that are typed there are text.
TEXTS = {name for name, key in KEYS.items() if key.text or key.rule in (PATH, NAME, NAMES)}
# Groups whose option is one object, and those of which it is several.
BUILT = tuple(name for name, key in KEYS.items() if key.part is Part.ONE)
PARTS = tuple(name for name, key in KEYS.items() if key.part is not None)
LOADING_KEYS = tuple(name.removeprefix("data.") for name, key in KEYS.items() if key.loading)
OF_A_START = _that_say(Says.START)
# Recorded paths, which are made absolute.
PATHS = tuple(name for name, key in KEYS.items() if key.rule is PATH and key.says is not Says.START)
HOW = _that_say(Says.HOW)
# What may change in a run that goes on.
FREE = (*HOW, *(name for name, key in KEYS.items() if key.longer))
MOVABLE = tuple(name for name, key in KEYS.items() if key.moves)
# What is no part of a run's fingerprint, and what does not tell runs apart.
LEFT_OUT = _that_say(Says.HOW, Says.START)
TECHNICAL = _that_say(Says.HOW, Says.START, Says.LEFT)
