"""The key table: all that Graft knows of each configuration key. Imports neither torch nor numpy.

The shipped YAML files say which keys there are, and their defaults. A key that is not in this table may hold
what its default's type allows, and it is a part of what a run is.
"""

from dataclasses import dataclass, replace
from enum import Enum

from graft.configuration import rules
from graft.configuration.metric_names import SINGLE_LABEL


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

    rule: rules.Rule | None = None
    says: Says = Says.WHAT
    part: Part | None = None
    longer: bool = False
    moves: bool = False
    loading: bool = False
    text: bool = False


KEYS: dict[str, Key] = {
    "name": Key(rules.RUN_NAME, Says.LEFT, text=True),
    "seed": Key(rules.SEED),
    "data": Key(part=Part.ONE),
    "data.batch_size": Key(rules.whole(1), loading=True),
    "data.num_workers": Key(rules.or_null(rules.whole(0)), Says.HOW, loading=True),
    "data.cache_images": Key(rules.one_of("auto", "ram", "disk", "off", False), loading=True),
    "data.val_fraction": Key(rules.SHARE, loading=True),
    "data.test_fraction": Key(rules.BETWEEN, loading=True),
    "data.split_seed": Key(rules.whole(0), loading=True),
    "data.test_seed": Key(rules.or_null(rules.whole(0)), loading=True),
    "data.keep_copies_together": Key(rules.one_of(False, True, "exact"), loading=True),
    "data.folds": Key(rules.or_null(rules.whole(2)), loading=True),
    "data.fold": Key(rules.or_null(rules.whole(1)), loading=True),
    "data.shots": Key(rules.or_null(rules.whole(1)), loading=True),
    "data.fraction": Key(rules.PART_OF_ALL, loading=True),
    "data.size": Key(rules.whole(1)),
    "data.file": Key(rules.PATH, moves=True),
    "data.root": Key(rules.PATH, moves=True),
    "data.text": Key(rules.NAME),
    "data.label": Key(rules.or_null(rules.NAME), text=True),
    "data.split": Key(rules.or_null(rules.NAME), text=True),
    "data.group": Key(rules.or_null(rules.NAME), text=True),
    "data.id": Key(rules.or_null(rules.NAME), text=True),
    "data.leave_out": Key(rules.NAMES),
    "data.numbers": Key(rules.NAMES),
    "data.categories": Key(rules.NAMES),
    "data.blanks": Key(rules.NAMES),
    "data.encoding": Key(rules.or_null(rules.NAME), text=True),
    "data.seconds": Key(rules.or_null(rules.POSITIVE)),
    "data.sample_rate": Key(rules.or_null(rules.whole(1000))),
    "data.n_fft": Key(rules.or_null(rules.whole(16))),
    "data.hop": Key(rules.or_null(rules.whole(1))),
    "data.mels": Key(rules.or_null(rules.whole(4))),
    "data.f_min": Key(rules.or_null(rules.NOT_NEGATIVE)),
    "data.f_max": Key(rules.or_null(rules.POSITIVE)),
    "data.revision": Key(rules.or_null(rules.NAME), text=True),
    "data.config": Key(rules.or_null(rules.NAME), text=True),
    "data.input": Key(rules.or_null(rules.NAME), text=True),
    "augment": Key(part=Part.ONE),
    "augment.p": Key(rules.SHARE),
    "augment.crop_scale": Key(rules.or_null(rules.TWO_SHARES)),
    "augment.crop_padding": Key(rules.or_null(rules.whole(0))),
    "augment.policy": Key(rules.or_null(rules.TRANSFORM)),
    "augment.horizontal_flip": Key(rules.UNIT),
    "augment.time_shift": Key(rules.UNIT),
    "augment.gain": Key(rules.NOT_NEGATIVE),
    "augment.time_masks": Key(rules.whole(0)),
    "augment.time_mask": Key(rules.UNIT),
    "augment.frequency_masks": Key(rules.whole(0)),
    "augment.frequency_mask": Key(rules.UNIT),
    "mix": Key(part=Part.ONE),
    "mix.alpha": Key(rules.POSITIVE),
    "mix.mixup_alpha": Key(rules.POSITIVE),
    "mix.cutmix_alpha": Key(rules.POSITIVE),
    "backbone": Key(part=Part.ONE),
    "backbone.name": Key(rules.NAME),
    "backbone.weights": Key(rules.PATH),
    "backbone.sha256": Key(rules.or_null(rules.SHA256), Says.HOW, text=True),
    "backbone.model_args": Key(),
    "backbone.image_size": Key(rules.or_null(rules.whole(1))),
    "backbone.drop_path": Key(rules.or_null(rules.SHARE)),
    "backbone.width": Key(rules.or_null(rules.whole(1))),
    "backbone.blocks": Key(rules.or_null(rules.whole(1))),
    "backbone.tokens": Key(rules.or_null(rules.one_of("words", "characters"))),
    "backbone.min_count": Key(rules.whole(1)),
    "backbone.embedding": Key(rules.or_null(rules.whole(1))),
    "backbone.channels": Key(rules.or_null(rules.whole(1))),
    "backbone.widths": Key(rules.or_null(rules.WIDTHS)),
    "backbone.dropout": Key(rules.SHARE),
    # Of simple_cnn the first two, of an encoder the others and max.
    "backbone.pooling": Key(rules.one_of("max", "avg", "auto", "mean", "cls", "model")),
    "backbone.revision": Key(rules.or_null(rules.NAME), text=True),
    "backbone.normalize": Key(rules.or_null(rules.FLAG)),
    "backbone.max_length": Key(rules.or_null(rules.whole(1))),
    "head": Key(part=Part.ONE),
    "head.hidden": Key(rules.whole(1)),
    "head.standardize": Key(rules.or_null(rules.FLAG)),
    "head.dropout": Key(rules.SHARE),
    "freeze": Key(part=Part.ONE),
    "freeze.k": Key(rules.whole(1)),
    "freeze.at": Key(rules.whole(0)),
    "freeze.every": Key(rules.whole(1)),
    "freeze.epochs": Key(rules.whole(1)),
    "freeze.patience": Key(rules.or_null(rules.whole(1))),
    "freeze.head_lr_factor": Key(rules.POSITIVE),
    "freeze.r": Key(rules.whole(1)),
    "freeze.alpha": Key(rules.POSITIVE),
    "freeze.norm": Key(rules.or_null(rules.one_of("frozen", "affine", "statistics", "train"))),
    "freeze.rules": Key(rules.PATTERNS),
    "optimizer": Key(part=Part.ONE),
    "optimizer.lr": Key(rules.POSITIVE),
    "optimizer.head_lr": Key(rules.or_null(rules.RATE)),
    "optimizer.layer_decay": Key(rules.PART_OF_ALL),
    "optimizer.weight_decay": Key(rules.or_null(rules.NOT_NEGATIVE)),
    "optimizer.momentum": Key(rules.SHARE),
    "optimizer.betas": Key(rules.BETAS),
    "optimizer.eps": Key(rules.POSITIVE),
    "optimizer.max_iter": Key(rules.whole(1)),
    "optimizer.tolerance_grad": Key(rules.POSITIVE),
    "scheduler": Key(part=Part.ONE),
    "scheduler.warmup_epochs": Key(rules.NOT_NEGATIVE),
    "scheduler.final": Key(rules.UNIT),
    "scheduler.step_size": Key(rules.whole(1)),
    "scheduler.gamma": Key(rules.POSITIVE),
    "scheduler.factor": Key(rules.BETWEEN),
    "scheduler.patience": Key(rules.whole(1)),
    "scheduler.min_delta": Key(rules.NOT_NEGATIVE),
    "regularizer": Key(part=Part.ONE),
    "regularizer.weight": Key(rules.NOT_NEGATIVE),
    "regularizer.alpha": Key(rules.NOT_NEGATIVE),
    "regularizer.beta": Key(rules.NOT_NEGATIVE),
    "regularizer.last": Key(rules.or_null(rules.whole(1))),
    "regularizer.k": Key(rules.whole(1)),
    "regularizer.p": Key(rules.UNIT),
    "adapt": Key(part=Part.ONE),
    "adapt.select": Key(rules.one_of("source", "entropy", "snd", "iwv", "dev", "infomax")),
    "adapt.norm": Key(rules.one_of("joint", "separate", "source")),
    "adapt.epoch_of": Key(rules.one_of("source", "target")),
    "adapt.weight": Key(rules.NOT_NEGATIVE),
    "adapt.hidden": Key(rules.whole(1)),
    "adapt.most": Key(rules.whole(1)),
    "adapt.kernels": Key(rules.whole(1)),
    "adapt.temperature": Key(rules.POSITIVE),
    "adapt.threshold": Key(rules.UNIT),
    "adapt.increase": Key(rules.POSITIVE),
    "loss.label_smoothing": Key(rules.SHARE),
    "loss.class_weights": Key(rules.CLASS_WEIGHTS),
    "trainer": Key(part=Part.ONE),
    "trainer.max_epochs": Key(rules.whole(1), longer=True),
    "trainer.min_epochs": Key(rules.or_null(rules.whole(1))),
    "trainer.max_steps": Key(rules.whole(-1)),
    "trainer.min_steps": Key(rules.or_null(rules.whole(1))),
    "trainer.max_time": Key(rules.or_null(rules.DURATION)),
    "trainer.limit_train_batches": Key(rules.BATCHES),
    "trainer.limit_val_batches": Key(rules.BATCHES),
    "trainer.limit_test_batches": Key(rules.BATCHES),
    "trainer.limit_predict_batches": Key(rules.BATCHES),
    "trainer.overfit_batches": Key(rules.OVERFIT),
    "trainer.val_check_interval": Key(rules.BATCHES),
    "trainer.check_val_every_n_epoch": Key(rules.whole(1)),
    "trainer.log_every_n_steps": Key(rules.whole(1)),
    "trainer.num_sanity_val_steps": Key(rules.whole(-1)),
    "trainer.gradient_clip_algorithm": Key(rules.one_of(None, "norm", "value")),
    "trainer.deterministic": Key(rules.one_of(None, True, False, "warn")),
    "trainer.benchmark": Key(rules.one_of(None, True, False)),
    "trainer.profiler": Key(rules.one_of(None, "simple", "advanced")),
    "trainer.accelerator": Key(rules.ACCELERATOR, Says.HOW),
    "trainer.devices": Key(rules.DEVICES, Says.HOW),
    "trainer.num_nodes": Key(rules.whole(1), Says.HOW),
    "trainer.strategy": Key(rules.one_of("auto", "ddp", "fsdp")),
    "trainer.precision": Key(rules.one_of(*rules.PRECISIONS)),
    "trainer.accumulate_grad_batches": Key(rules.whole(1)),
    "trainer.gradient_clip_val": Key(rules.or_null(rules.POSITIVE)),
    "trainer.enable_model_summary": Key(says=Says.LEFT),
    "logger": Key(says=Says.LEFT, part=Part.SEVERAL),
    "callbacks": Key(part=Part.SEVERAL),
    "callbacks.ema.decay": Key(rules.SHARE),
    "callbacks.ema.recalibrate": Key(rules.whole(0)),
    "callbacks.last": Key(says=Says.LEFT),
    "callbacks.last.minutes": Key(rules.NOT_NEGATIVE),
    "callbacks.last.seconds": Key(rules.NOT_NEGATIVE),
    "callbacks.learning_rate": Key(says=Says.LEFT),
    "callbacks.progress": Key(says=Says.LEFT),
    "callbacks.progress.refresh_rate": Key(says=Says.HOW),
    "distill.teacher": Key(rules.PATH),
    "distill.temperature": Key(rules.POSITIVE),
    "distill.weight": Key(rules.UNIT),
    "distill.trust": Key(rules.NAMES),
    "cache.features": Key(rules.one_of("auto", "on", "off", True, False)),
    "cache.dir": Key(rules.PATH, Says.HOW),
    "cache.max_bytes": Key(rules.whole(0), Says.HOW),
    "cache.views": Key(rules.or_null(rules.whole(1))),
    "cache.precision": Key(rules.one_of("float32", "fast")),
    "known": Key(rules.one_of("knn", "mahalanobis", "energy", None), Says.LEFT),
    "wise_ft.alpha": Key(rules.or_null(rules.UNIT)),
    "threads": Key(rules.or_null(rules.whole(1)), Says.HOW),
    "test": Key(says=Says.HOW),
    "resume": Key(rules.PATH, Says.START),
    "stop_after": Key(rules.or_null(rules.whole(1)), Says.START),
    "trust": Key(rules.NAMES, Says.START),
    "sweep": Key(says=Says.START),
    "sweep.resume": Key(rules.PATH, Says.START),
    "sweep.trial": Key(rules.PATH, Says.START),
    "notes": Key(says=Says.START),
    "run": Key(rules.PATH),
    "source": Key(rules.PATH),
    "unknown": Key(rules.PATH),
    "sort": Key(rules.or_null(rules.SORT)),
    "over": Key(rules.NAMES),
    "precision": Key(rules.one_of("float32", "fast")),
    "stage": Key(rules.or_null(rules.NAME), text=True),
    "pool": Key(rules.one_of("none", "mean")),
    "num_workers": Key(rules.or_null(rules.whole(0))),
    "batch_size": Key(rules.or_null(rules.whole(1))),
    "format": Key(rules.one_of("onnx", "torch_export")),
    "engine": Key(rules.ENGINES, text=True),
    "warm_up": Key(rules.whole(0)),
    "calls": Key(rules.whole(1)),
    "int8": Key(rules.or_null(rules.one_of("static", "dynamic"))),
    "top_k": Key(rules.or_null(rules.whole(1))),
    "minutes": Key(rules.POSITIVE),
    "goal": Key(
        rules.one_of(*(metric.name for metric in SINGLE_LABEL if metric.each_epoch and metric.most == 1))
    ),
    "cost": Key(rules.or_null(rules.POSITIVE)),
    "image_size": Key(rules.or_null(rules.whole(1))),
    "near": Key(rules.or_null(rules.NEAR)),
    "samples": Key(rules.whole(1)),
    "backbones": Key(rules.or_null(rules.BACKBONES), text=True),
    "weights": Key(rules.FILES),
    "runs": Key(rules.or_null(rules.RUNS), text=True),
    "folds": Key(rules.whole(2)),
    "repeats": Key(rules.whole(1)),
    "tta": Key(rules.one_of(None, "flip", "five")),
    "port": Key(rules.PORT),
    "host": Key(rules.NAME, text=True),
    "wait": Key(rules.NOT_NEGATIVE),
    "limits.files": Key(rules.whole(1)),
    "limits.file_bytes": Key(rules.whole(1)),
    "limits.bytes": Key(rules.whole(1)),
    "limits.pixels": Key(rules.whole(1)),
    "limits.seconds": Key(rules.POSITIVE),
    "limits.queue": Key(rules.whole(1)),
    "split": Key(rules.one_of("train", "val", "test", "all")),
    "accelerator": Key(rules.ACCELERATOR),
}


# The target is any option of `data`.
KEYS |= {
    name.replace("data", "target", 1): replace(key, loading=False)
    for name, key in KEYS.items()
    if name == "data" or name.startswith("data.")
}


def _that_say(*says: Says) -> tuple[str, ...]:
    return tuple(name for name, key in KEYS.items() if key.says in says)


RULES = {name: key.rule for name, key in KEYS.items() if key.rule is not None}
# Keys that hold paths or names. A number typed there is text.
TEXTS = {name for name, key in KEYS.items() if key.text or key.rule in (rules.PATH, rules.NAME, rules.NAMES)}
# Groups whose option builds one object, and groups whose option builds any number.
BUILT = tuple(name for name, key in KEYS.items() if key.part is Part.ONE)
PARTS = tuple(name for name, key in KEYS.items() if key.part is not None)
LOADING_KEYS = tuple(name.removeprefix("data.") for name, key in KEYS.items() if key.loading)
OF_A_START = _that_say(Says.START)
# Recorded paths, which are made absolute.
PATHS = tuple(name for name, key in KEYS.items() if key.rule is rules.PATH and key.says is not Says.START)
HOW = _that_say(Says.HOW)
# What may change in a run that goes on.
FREE = (*HOW, *(name for name, key in KEYS.items() if key.longer))
MOVABLE = tuple(name for name, key in KEYS.items() if key.moves)
# What is no part of a run's fingerprint, and what does not tell runs apart.
LEFT_OUT = _that_say(Says.HOW, Says.START)
TECHNICAL = _that_say(Says.HOW, Says.START, Says.LEFT)
