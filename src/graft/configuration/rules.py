"""What each key of the configuration may hold: types, ranges and choices. Imports neither torch nor numpy."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """One key's rule: `test` says whether a value is right, `wants` says what is."""

    wants: str
    test: Callable[[Any], bool]
    # The right words, where there are few, to find the nearest.
    choices: tuple[str, ...] = ()


def whole(least: int) -> Rule:
    """A whole number of at least `least`."""
    return Rule(f"a whole number >= {least}", lambda value: _is_whole(value) and value >= least)


def number(text: str, test: Callable[[float], bool]) -> Rule:
    """A number for which `test` holds; `text` says it in words."""
    return Rule(f"a number {text}", lambda value: _is_number(value) and test(value))


def one_of(*choices: Any) -> Rule:
    """One of a few values."""

    def test(value: Any) -> bool:
        # By type too, since 1 == True.
        return any(type(value) is type(choice) and value == choice for choice in choices)

    words = tuple(dict.fromkeys(map(str, choices)))
    return Rule(f"one of {', '.join(words)}", test, words)


def or_null(rule: Rule) -> Rule:
    """The rule, or null."""
    words = (*rule.choices, "null")
    return Rule(f"{rule.wants}, or null", lambda value: value is None or rule.test(value), words)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(map(_is_number, value))


def _is_duration(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\d+:\d{1,2}:\d{1,2}:\d{1,2}", value) is not None


def _is_rate(value: Any) -> bool:
    if isinstance(value, str) and re.fullmatch(r"[0-9.]+(e[-+]?[0-9]+)?x", value):
        return value.count(".") < 2 and value != ".x" and float(value[:-1]) > 0
    return POSITIVE.test(value)


POSITIVE = number("> 0", lambda value: 0 < value < float("inf"))
NOT_NEGATIVE = number(">= 0", lambda value: 0 <= value < float("inf"))
SHARE = number("from 0 up to, not including, 1", lambda value: 0 <= value < 1)
PATH = or_null(Rule("a path or a name", lambda value: isinstance(value, str) and value != ""))
NAME = Rule("a name", lambda value: isinstance(value, str) and value != "")
FLAG = Rule("true or false", lambda value: isinstance(value, bool))
NAMES = Rule(
    "a list of names such as [mypkg]",
    lambda value: isinstance(value, list) and all(isinstance(item, str) and item for item in value),
)
CLASS_WEIGHTS = Rule(
    "null, balanced, or a list of one positive number a class",
    lambda value: (
        value in (None, "balanced")
        or (isinstance(value, list) and bool(value) and all(POSITIVE.test(item) for item in value))
    ),
    ("balanced",),
)

BATCHES = or_null(
    Rule(
        "a share such as 0.1 or a number of batches such as 10",
        lambda value: _is_number(value) and value > 0 and (value <= 1 or _is_whole(value)),
    )
)
PRECISIONS = (
    "32-true",
    "16-mixed",
    "bf16-mixed",
    "64-true",
    "bf16-true",
    "16-true",
    32,
    16,
    64,
    "32",
    "16",
    "64",
    "bf16",
)

RULES: dict[str, Rule] = {
    "name": Rule(
        "at most 80 of the characters A-Z a-z 0-9 . _ -",
        lambda value: isinstance(value, str) and 0 < len(value) <= 80 and clean_name(value) == value,
    ),
    "seed": number(
        "that is whole and from 0 to 4294967295", lambda value: _is_whole(value) and 0 <= value < 2**32
    ),
    "data.batch_size": whole(1),
    "data.num_workers": or_null(whole(0)),
    "data.cache_images": one_of("auto", "ram", "disk", "off", False),
    "data.val_fraction": SHARE,
    "data.test_fraction": number("between 0 and 1", lambda value: 0 < value < 1),
    "data.split_seed": whole(0),
    "data.folds": or_null(whole(2)),
    "data.fold": or_null(whole(1)),
    "data.shots": or_null(whole(1)),
    "data.fraction": number("above 0 and at most 1", lambda value: 0 < value <= 1),
    "data.size": whole(1),
    "data.root": PATH,
    "data.file": PATH,
    "augment.crop_scale": or_null(
        Rule(
            "two shares such as [0.5, 1.0], the smaller first",
            lambda value: _numbers(value, 2) and 0 < value[0] <= value[1] <= 1,
        )
    ),
    "augment.crop_padding": or_null(whole(0)),
    "augment.policy": or_null(Rule("a transform with a _target_", lambda value: isinstance(value, Mapping))),
    "augment.horizontal_flip": number("from 0 to 1", lambda value: 0 <= value <= 1),
    "mix.alpha": POSITIVE,
    "mix.mixup_alpha": POSITIVE,
    "mix.cutmix_alpha": POSITIVE,
    "backbone.name": NAME,
    "backbone.weights": PATH,
    "backbone.image_size": or_null(whole(1)),
    "backbone.drop_path": or_null(SHARE),
    "backbone.pooling": one_of("max", "avg"),
    "head.hidden": whole(1),
    "head.standardize": or_null(FLAG),
    "head.dropout": SHARE,
    "freeze.k": whole(1),
    "freeze.at": whole(0),
    "freeze.every": whole(1),
    "freeze.epochs": whole(1),
    "freeze.patience": or_null(whole(1)),
    "freeze.head_lr_factor": POSITIVE,
    "freeze.r": whole(1),
    "freeze.alpha": POSITIVE,
    "freeze.norm": or_null(one_of("frozen", "affine", "statistics", "train")),
    "freeze.rules": Rule(
        "a list of {pattern, trains}",
        lambda value: (
            isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)
        ),
    ),
    "optimizer.lr": POSITIVE,
    "optimizer.head_lr": or_null(
        Rule("a number > 0, or a multiple of lr such as 10x", lambda value: _is_rate(value))
    ),
    "optimizer.layer_decay": number("above 0 and at most 1", lambda value: 0 < value <= 1),
    "optimizer.weight_decay": or_null(NOT_NEGATIVE),
    "optimizer.momentum": SHARE,
    "optimizer.betas": Rule(
        "two numbers from 0 up to, not including, 1",
        lambda value: _numbers(value, 2) and all(SHARE.test(item) for item in value),
    ),
    "optimizer.eps": POSITIVE,
    "optimizer.max_iter": whole(1),
    "optimizer.tolerance_grad": POSITIVE,
    "scheduler.warmup_epochs": NOT_NEGATIVE,
    "scheduler.final": number("from 0 to 1", lambda value: 0 <= value <= 1),
    "scheduler.step_size": whole(1),
    "scheduler.gamma": POSITIVE,
    "scheduler.factor": number("between 0 and 1", lambda value: 0 < value < 1),
    "scheduler.patience": whole(1),
    "scheduler.min_delta": NOT_NEGATIVE,
    "callbacks.ema.decay": SHARE,
    "callbacks.ema.recalibrate": whole(0),
    "regularizer.weight": NOT_NEGATIVE,
    "regularizer.alpha": NOT_NEGATIVE,
    "regularizer.beta": NOT_NEGATIVE,
    "regularizer.last": or_null(whole(1)),
    "regularizer.k": whole(1),
    "regularizer.p": number("from 0 to 1", lambda value: 0 <= value <= 1),
    "loss.label_smoothing": SHARE,
    "loss.class_weights": CLASS_WEIGHTS,
    "trainer.max_epochs": whole(1),
    "trainer.min_epochs": or_null(whole(1)),
    "trainer.max_steps": whole(-1),
    "trainer.min_steps": or_null(whole(1)),
    "trainer.max_time": or_null(
        Rule("days:hours:minutes:seconds such as 00:01:30:00", lambda value: _is_duration(value))
    ),
    "trainer.limit_train_batches": BATCHES,
    "trainer.limit_val_batches": BATCHES,
    "trainer.limit_test_batches": BATCHES,
    "trainer.limit_predict_batches": BATCHES,
    "trainer.overfit_batches": Rule(
        "0 for none, or a share or number of batches", lambda value: value == 0 or BATCHES.test(value)
    ),
    "trainer.val_check_interval": BATCHES,
    "trainer.check_val_every_n_epoch": whole(1),
    "trainer.log_every_n_steps": whole(1),
    "trainer.num_sanity_val_steps": whole(-1),
    "trainer.gradient_clip_algorithm": one_of(None, "norm", "value"),
    "trainer.deterministic": one_of(None, True, False, "warn"),
    "trainer.benchmark": one_of(None, True, False),
    "trainer.profiler": one_of(None, "simple", "advanced"),
    "trainer.accelerator": one_of("auto", "cpu", "gpu", "cuda", "mps"),
    "trainer.devices": Rule(
        "auto, a number of processes such as 2, or a list of GPUs such as [0, 1]",
        lambda value: (
            value == "auto"
            or (_is_whole(value) and value >= 1)
            or (
                isinstance(value, list)
                and bool(value)
                and all(_is_whole(item) and item >= 0 for item in value)
                and len(set(value)) == len(value)
            )
        ),
        ("auto",),
    ),
    "trainer.num_nodes": whole(1),
    "trainer.strategy": one_of("auto", "ddp", "fsdp"),
    "trainer.precision": one_of(*PRECISIONS),
    "trainer.accumulate_grad_batches": whole(1),
    "trainer.gradient_clip_val": or_null(POSITIVE),
    "distill.teacher": PATH,
    "distill.temperature": POSITIVE,
    "distill.weight": number("from 0 to 1", lambda value: 0 <= value <= 1),
    "distill.trust": NAMES,
    "cache.features": one_of("auto", "on", "off", True, False),
    "cache.dir": PATH,
    "cache.max_bytes": whole(0),
    "cache.views": or_null(whole(1)),
    "cache.precision": one_of("float32", "fast"),
    "wise_ft.alpha": or_null(number("from 0 to 1", lambda value: 0 <= value <= 1)),
    "threads": or_null(whole(1)),
    "resume": PATH,
    "sweep.resume": PATH,
    "sweep.trial": PATH,
    "callbacks.last.minutes": NOT_NEGATIVE,
    "callbacks.last.seconds": NOT_NEGATIVE,
    "run": PATH,
    "source": PATH,
    "sort": or_null(
        Rule(
            "a validation metric such as val/accuracy, because the test set is for the end",
            lambda value: isinstance(value, str) and re.fullmatch(r"val/\w+", value) is not None,
        )
    ),
    "over": NAMES,
    "precision": one_of("float32", "fast"),
    "num_workers": or_null(whole(0)),
    "batch_size": or_null(whole(1)),
    "top_k": or_null(whole(1)),
    "near": or_null(Rule("a whole number from 0 to 16", lambda value: _is_whole(value) and 0 <= value <= 16)),
    "samples": whole(1),
    "backbones": or_null(
        Rule(
            "a list of names, each once, such as [resnet18, resnet50]",
            lambda value: NAMES.test(value) and 0 < len(value) == len(set(value)),
        )
    ),
    "weights": Rule("a mapping such as {resnet18: file.pth}", lambda value: isinstance(value, Mapping)),
    "runs": or_null(
        Rule(
            "a path or pattern, or several as [a,b]",
            lambda value: (isinstance(value, str) and value != "") or (NAMES.test(value) and len(value) > 0),
        )
    ),
    "folds": whole(2),
    "repeats": whole(1),
    "split": one_of("train", "val", "test", "all"),
    "accelerator": one_of("auto", "cpu", "gpu", "cuda", "mps"),
    "trust": NAMES,
}

# Keys that hold paths or names: numbers that are typed there are text.
TEXTS = {
    *(key for key, rule in RULES.items() if rule in (PATH, NAME, NAMES)),
    *("name", "runs", "backbones"),
}


def rule_of_default(default: Any) -> Rule | None:
    """What a shipped default says of the values that may stand in its place; None where it says nothing."""
    if isinstance(default, bool):
        return FLAG
    if _is_whole(default):
        return Rule("a whole number", _is_whole)
    if isinstance(default, float):
        return Rule("a number", _is_number)
    if isinstance(default, list) and default and all(map(_is_number, default)):
        return Rule(f"a list of {len(default)} numbers", lambda value: _numbers(value, len(default)))
    if isinstance(default, str) and default != "???" and "${" not in default:
        return Rule("a word", lambda value: isinstance(value, str))
    return None


def clean_name(text: str) -> str:
    """`text` with every character that does not belong in a file name replaced by `-`."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text)
