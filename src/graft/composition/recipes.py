"""Takes out what a recipe gave to an option that other words replaced. Imports no torch."""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf, flag_override

from graft.configuration.key_table import PARTS
from graft.configuration.keys import (
    RECIPES,
    Choices,
    key_of,
    names_in,
    option_file,
    option_keys,
    plain,
)
from graft.configuration.schema import Plain

# Options of these groups share keys that fit any of them (the batch, the epochs); those keys stay.
ALIKE = ("data", "trainer", "callbacks", "logger")


class Recipe(NamedTuple):
    """What a recipe chooses, group to option, and the values that it gives."""

    options: dict[str, str]
    values: Plain


def without_replaced(
    cfg: DictConfig, choices: Choices, folders: Sequence[Path], words: Sequence[str]
) -> DictConfig:
    """The configuration without what recipes gave to options that other words replaced.

    Hydra lays a recipe's values over whatever option is chosen. But a recipe that names `optimizer: sgd`
    means its rate and its momentum for SGD: `optimizer=adamw` beside it is AdamW as it ships. A recipe that
    names no optimizer means its values for any, and they stay.
    """
    recipes = [_recipe(group, name, folders) for group in RECIPES for name in names_in(choices.get(group))]
    changed = copy.deepcopy(cfg)
    for group in PARTS:
        option = choices.get(group)
        for recipe in recipes:
            meant, values = recipe.options.get(group, option), recipe.values.get(group)
            if meant == option or not isinstance(option, str) or not isinstance(values, dict):
                continue
            has, had = (option_keys(group, name, folders) for name in (option, str(meant)))
            keys = _lacking(has, had, values) if group in ALIKE else values
            others = [other.values.get(group) or {} for other in recipes if other is not recipe]
            for key in keys:
                if not _given(f"{group}.{key}", words):
                    _put_back(
                        changed, f"{group}.{key}", [values[key] for values in (has, *others) if key in values]
                    )
    return changed


def _recipe(group: str, name: str, folders: Sequence[Path]) -> Recipe:
    """A recipe with those of its group that it builds on."""
    file = dict(option_file(group, name, folders))
    options: dict[str, str] = {}
    layers = []
    for default in file.pop("defaults", []):
        if isinstance(default, dict):
            options |= {key.removeprefix("override /"): str(option) for key, option in default.items()}
        elif default != "_self_":
            base = _recipe(group, default.removesuffix("@_here_").removeprefix(f"/{group}/"), folders)
            options |= base.options
            layers.append(base.values)
    return Recipe(options, plain(OmegaConf.merge(*layers, file)))


def _lacking(has: Plain, had: Plain, given: Plain) -> Iterator[str]:
    """Dotted keys of `given` that `had` has and `has` has not."""
    for key, value in given.items():
        if key in had and key not in has:
            yield key
        elif isinstance(value, dict) and isinstance(had.get(key), dict) and isinstance(has.get(key), dict):
            yield from (f"{key}.{below}" for below in _lacking(has[key], had[key], value))


def _given(key: str, words: Sequence[str]) -> bool:
    """Whether a word gives the key or one below it."""
    return any(f"{key_of(word)}.".startswith(f"{key}.") for word in words)


def _put_back(cfg: DictConfig, key: str, values: Sequence[object]) -> None:
    """Set the key to the last of the values; take it out where there is none."""
    above, _, last = key.rpartition(".")
    node = OmegaConf.select(cfg, above)
    with flag_override(node, ["struct", "readonly"], False):
        if values:
            node[last] = values[-1]
        else:
            node.pop(last, None)
