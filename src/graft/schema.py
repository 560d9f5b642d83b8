"""What a value in the configuration may be, told without importing torch.

The shipped YAML files say which keys there are and, by their defaults, of which type; this module adds
the ranges, the choices and the rules between keys.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graft.errors import GraftError, did_you_mean

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """One key's rule: `test` says whether a value is right, `wants` says what is."""

    wants: str
    test: Callable[[Any], bool]


def whole(least: int) -> Rule:
    """A whole number of at least `least`."""
    return Rule(f"a whole number >= {least}", lambda value: _is_whole(value) and value >= least)


def number(text: str, test: Callable[[float], bool]) -> Rule:
    """A number for which `test` holds; `text` says it in words."""
    return Rule(f"a number {text}", lambda value: _is_number(value) and test(value))


def one_of(*choices: Any) -> Rule:
    """One of a few values."""
    return Rule(f"one of {', '.join(map(str, choices))}", lambda value: value in choices)


def or_null(rule: Rule) -> Rule:
    """The rule, or null."""
    return Rule(f"{rule.wants}, or null", lambda value: value is None or rule.test(value))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


POSITIVE = number("> 0", lambda value: 0 < value < float("inf"))
NOT_NEGATIVE = number(">= 0", lambda value: 0 <= value < float("inf"))
SHARE = number("from 0 up to, not including, 1", lambda value: 0 <= value < 1)
PATH = or_null(Rule("a path or a name", lambda value: isinstance(value, str) and value != ""))
FLAG = Rule("true or false", lambda value: isinstance(value, bool))
NAMES = Rule("a list of names such as [mypkg]", lambda value: isinstance(value, list))
CLASS_WEIGHTS = Rule(
    "null, balanced, or a list of one positive number a class",
    lambda value: (
        value in (None, "balanced")
        or (isinstance(value, list) and bool(value) and all(POSITIVE.test(item) for item in value))
    ),
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
    "data.val_fraction": SHARE,
    "data.test_fraction": number("between 0 and 1", lambda value: 0 < value < 1),
    "data.split_seed": whole(0),
    "data.shots": or_null(whole(1)),
    "data.fraction": number("above 0 and at most 1", lambda value: 0 < value <= 1),
    "data.size": whole(1),
    "data.root": PATH,
    "augment.horizontal_flip": number("from 0 to 1", lambda value: 0 <= value <= 1),
    "backbone.weights": PATH,
    "backbone.image_size": or_null(whole(1)),
    "head.hidden": whole(1),
    "head.dropout": SHARE,
    "freeze.k": whole(1),
    "optimizer.lr": POSITIVE,
    "optimizer.head_lr": or_null(POSITIVE),
    "optimizer.weight_decay": NOT_NEGATIVE,
    "optimizer.momentum": SHARE,
    "scheduler.warmup_epochs": NOT_NEGATIVE,
    "scheduler.final": number("from 0 to 1", lambda value: 0 <= value <= 1),
    "scheduler.step_size": whole(1),
    "scheduler.gamma": POSITIVE,
    "scheduler.factor": number("between 0 and 1", lambda value: 0 < value < 1),
    "scheduler.patience": whole(0),
    "loss.label_smoothing": SHARE,
    "loss.class_weights": CLASS_WEIGHTS,
    "trainer.max_epochs": whole(1),
    "trainer.accelerator": one_of("auto", "cpu", "gpu", "cuda", "mps", "tpu"),
    "trainer.devices": Rule(
        "1 (one device a run; run several side by side to use several GPUs)",
        lambda value: value in (1, "1", "auto") or (isinstance(value, list) and len(value) == 1),
    ),
    "trainer.precision": one_of(*PRECISIONS),
    "trainer.accumulate_grad_batches": whole(1),
    "trainer.gradient_clip_val": or_null(POSITIVE),
    "batch_size": or_null(whole(1)),
    "top_k": or_null(whole(1)),
    "split": one_of("train", "val", "test", "all"),
    "accelerator": one_of("auto", "cpu", "gpu", "cuda", "mps", "tpu"),
    "trust": NAMES,
}


def check_values(config: Config, shipped: Config) -> None:
    """Check the type and range of every value.

    Args:
        config: the resolved configuration as plain values.
        shipped: the same keys with the values that the YAML files give them, unresolved.

    Raises:
        GraftError: names the first key whose value is wrong, the value, and what is right.
    """
    for key, value in flatten(config).items():
        rule = RULES.get(key) or _rule_of(get(shipped, key))
        if rule is not None and not rule.test(value):
            hint = (
                did_you_mean(str(value), rule.wants.replace(",", " ").split())
                if isinstance(value, str)
                else ""
            )
            raise GraftError(f"{key}={_spell(value)} is wrong: it must be {rule.wants}{hint}")


def check_together(config: Config) -> None:
    """Check the rules between keys of a training configuration.

    Raises:
        GraftError: two keys contradict each other.
    """
    data = config.get("data") or {}
    if data.get("shots") is not None and data.get("fraction", 1) != 1:
        raise GraftError(
            "data.shots and data.fraction are two ways to take less of the training part; give one"
        )
    if (config.get("trainer") or {}).get("accelerator") == "cpu" and str(
        (config.get("trainer") or {}).get("precision")
    ).startswith("16"):
        raise GraftError("trainer.precision=16-mixed needs a GPU; on a CPU use trainer.precision=bf16-mixed")


def _rule_of(default: Any) -> Rule | None:
    """What a shipped default says of the values that may stand in its place; None where it says nothing."""
    if isinstance(default, bool):
        return FLAG
    if _is_whole(default):
        return Rule("a whole number", _is_whole)
    if isinstance(default, float):
        return Rule("a number", _is_number)
    if isinstance(default, str) and default != "???" and "${" not in default:
        return Rule("a word", lambda value: isinstance(value, str))
    return None


def clean_name(text: str) -> str:
    """`text` with every character that does not belong in a file name replaced by `-`."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text)


def flatten(config: Config, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one mapping of dotted keys; empty mappings count as values."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def get(config: Config, key: str) -> Any:
    """The value at a dotted key, or None where there is none."""
    value: Any = config
    for word in key.split("."):
        if not isinstance(value, Mapping) or word not in value:
            return None
        value = value[word]
    return value


def _spell(value: Any) -> str:
    """A value as one would type it on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
