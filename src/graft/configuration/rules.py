"""Rules for what a value of the configuration may be: types, ranges, choices. Imports no torch, no numpy."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeGuard


@dataclass(frozen=True)
class Rule:
    """One key's rule: `test` says whether a value is right, `wants` says what is."""

    wants: str
    test: Callable[[object], bool]
    # The allowed words, where there are few: the nearest is suggested.
    choices: tuple[str, ...] = ()


def whole(least: int) -> Rule:
    """A whole number of at least `least`."""
    return Rule(f"a whole number >= {least}", lambda value: _is_whole(value) and value >= least)


def number(text: str, test: Callable[[float], bool]) -> Rule:
    """A number for which `test` holds; `text` says it in words."""
    return Rule(f"a number {text}", lambda value: _is_number(value) and test(value))


def one_of(*choices: object) -> Rule:
    """One of a few values."""

    def test(value: object) -> bool:
        # By type too, since 1 == True.
        return any(type(value) is type(choice) and value == choice for choice in choices)

    words = tuple(dict.fromkeys(map(str, choices)))
    return Rule(f"one of {', '.join(words)}", test, words)


def or_null(rule: Rule) -> Rule:
    """The rule, or null."""
    words = (*rule.choices, "null")
    return Rule(f"{rule.wants}, or null", lambda value: value is None or rule.test(value), words)


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(value: object, count: int) -> TypeGuard[list[float]]:
    return isinstance(value, list) and len(value) == count and all(map(_is_number, value))


def _is_names(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


def _is_rate(value: object) -> bool:
    if isinstance(value, str) and re.fullmatch(r"[0-9.]+(e[-+]?[0-9]+)?x", value):
        return value.count(".") < 2 and value != ".x" and float(value[:-1]) > 0
    return POSITIVE.test(value)


POSITIVE = number("> 0", lambda value: 0 < value < float("inf"))
NOT_NEGATIVE = number(">= 0", lambda value: 0 <= value < float("inf"))
SHARE = number("from 0 up to, not including, 1", lambda value: 0 <= value < 1)
PATH = or_null(Rule("a path or a name", lambda value: isinstance(value, str) and value != ""))
NAME = Rule("a name", lambda value: isinstance(value, str) and value != "")
FLAG = Rule("true or false", lambda value: isinstance(value, bool))
NAMES = Rule("a list of names such as [mypkg]", _is_names)
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
    *("32-true", "16-mixed", "bf16-mixed", "64-true", "bf16-true", "16-true"),
    *(32, 16, 64, "32", "16", "64", "bf16"),
)
ACCELERATOR = one_of("auto", "cpu", "gpu", "cuda", "mps")
SHA256 = Rule(
    "64 hexadecimal digits",
    lambda value: isinstance(value, str) and bool(re.fullmatch(r"[0-9a-f]{64}", value)),
)
RUN_NAME = Rule(
    "at most 80 of the characters A-Z a-z 0-9 . _ -",
    lambda value: isinstance(value, str) and 0 < len(value) <= 80 and clean_name(value) == value,
)
SEED = number("that is whole and from 0 to 4294967295", lambda value: _is_whole(value) and 0 <= value < 2**32)
UNIT = number("from 0 to 1", lambda value: 0 <= value <= 1)
BETWEEN = number("between 0 and 1", lambda value: 0 < value < 1)
PART_OF_ALL = number("above 0 and at most 1", lambda value: 0 < value <= 1)
TWO_SHARES = Rule(
    "two shares such as [0.5, 1.0], the smaller first",
    lambda value: _numbers(value, 2) and 0 < value[0] <= value[1] <= 1,
)
WIDTHS = Rule(
    "a list of whole numbers >= 1, each once, such as [3, 4, 5]",
    lambda value: (
        isinstance(value, list)
        and all(_is_whole(item) and item >= 1 for item in value)
        and 0 < len(value) == len(set(value))
    ),
)
BETAS = Rule(
    "two numbers from 0 up to, not including, 1",
    lambda value: _numbers(value, 2) and all(SHARE.test(item) for item in value),
)
TRANSFORM = Rule("a transform with a _target_", lambda value: isinstance(value, Mapping))
PATTERNS = Rule(
    "a list of {pattern, trains}",
    lambda value: (
        isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)
    ),
)
RATE = Rule("a number > 0, or a multiple of lr such as 10x", _is_rate)
DURATION = Rule(
    "days:hours:minutes:seconds such as 00:01:30:00",
    lambda value: isinstance(value, str) and bool(re.fullmatch(r"\d+:\d{1,2}:\d{1,2}:\d{1,2}", value)),
)
OVERFIT = Rule("0 for none, or a share or number of batches", lambda value: value == 0 or BATCHES.test(value))
DEVICES = Rule(
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
)
SORT = Rule(
    "a validation metric such as val/accuracy, because the test set is for the end",
    lambda value: isinstance(value, str) and re.fullmatch(r"val/\w+", value) is not None,
)
PORT = Rule("a whole number from 0 to 65535", lambda value: _is_whole(value) and 0 <= value < 2**16)
NEAR = Rule("a whole number from 0 to 16", lambda value: _is_whole(value) and 0 <= value <= 16)
BACKBONES = Rule(
    "at_hand, or a list of names, each once, such as [resnet18, resnet50]",
    lambda value: value == "at_hand" or (_is_names(value) and 0 < len(value) == len(set(value))),
)
_ENGINES = ("torch", "compile", "onnx", "int8")
ENGINES = Rule(
    f"one or several of {', '.join(_ENGINES)}, each once, such as [torch, onnx]",
    lambda value: _is_names(value) and 0 < len(value) == len(set(value)) and set(value) <= set(_ENGINES),
    _ENGINES,
)
FILES = Rule("a mapping such as {resnet18: file.pth}", lambda value: isinstance(value, Mapping))
RUNS = Rule(
    "a path or pattern, or several as [a,b]",
    lambda value: (isinstance(value, str) or _is_names(value)) and len(value) > 0,
)


def rule_of_default(default: object) -> Rule | None:
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
