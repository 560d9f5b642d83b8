"""Which configuration keys there are: those of the chosen options' files, and no others.

The shipped YAML files are the schema: a key that none of the chosen files lists is refused, also with `+`
or `++`, where Hydra by itself would take it without a word. `folders` are where options are looked for, in
Hydra's order: the first that has one wins. Imports no torch.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from graft.configuration.key_table import PARTS
from graft.configuration.schema import Plain, flatten, get
from graft.errors import GraftError, nearest

# Group to the option that is chosen, or to several; None where there is none.
Choices = Mapping[str, str | Sequence[str] | None]
# Options of these groups change keys of other groups instead of having keys of their own.
RECIPES = ("experiment", "debug", "local", "sweep")
# Folders of the user's own options, as `[file:///path/to/conf]`.
SEARCHPATH = "hydra.searchpath"


def key_of(word: str) -> str:
    """The key that a word of the command line sets: `optimizer.lr` of `+optimizer.lr=0.1`."""
    return word.lstrip("+~").partition("=")[0].partition("@")[0]


def named_folders(overrides: Sequence[str]) -> list[tuple[str, str]]:
    """The folders of options that the words name, each with the word's key."""
    named = [
        ("--config-dir", after) for word, after in pairwise(overrides) if word in ("--config-dir", "-cd")
    ]
    for word in overrides:
        key, _, value = word.partition("=")
        if key == "--config-dir":
            named.append((key, value))
        elif key == SEARCHPATH:
            named += [(key, folder) for folder in re.findall(r"file://([^],'\"]+)", value)]
    return named


def conf_dir() -> Path:
    """The shipped Hydra tree: inside an installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parents[1] / "conf"


def known_keys(command: str, choices: Choices, folders: Sequence[Path]) -> Plain:
    """Every key that the command and the chosen options define, with the values that the files give them."""
    primary = _read(conf_dir() / f"{command}.yaml")
    known: Plain = {key: value for key, value in primary.items() if key not in ("defaults", "hydra")}
    # A group that the command line takes out is missed like a key.
    known |= {group: {} for group, option in default_choices(command).items() if option}
    for choice, option in choices.items():
        group, _, package = choice.partition("@")
        if group.startswith("hydra/"):
            continue
        if package:
            for name in names_in(option):
                known[package] = option_keys(group, name, folders)
            continue
        for name in names_in(option):
            values = option_keys(group, name, folders)
            if group not in RECIPES:
                known[group] = {**known.get(group, {}), **values}
            elif not (conf_dir() / group / f"{name}.yaml").is_file():
                # A recipe in the user's own folder may bring top-level keys of its own.
                known = {**{key: value for key, value in values.items() if key not in PARTS}, **known}
    return known


def names_in(choice: str | Sequence[str] | None) -> list[str]:
    """The options that are chosen of a group."""
    return [choice] if isinstance(choice, str) else list(choice or [])


def default_choices(command: str) -> dict[str, str | Sequence[str] | None]:
    """Which options the command's file chooses."""
    defaults = _read(conf_dir() / f"{command}.yaml")["defaults"]
    chosen = [choice for default in defaults if isinstance(default, dict) for choice in default.items()]
    return {group: option for group, option in chosen if group in PARTS}


def option_keys(group: str, name: str, folders: Sequence[Path]) -> Plain:
    """The keys of one option's file, with those of the files of the same group that it builds on."""
    values = option_file(group, name, folders)
    keys: Plain = {}
    for default in values.pop("defaults", []):
        base = default.removesuffix("@_here_") if isinstance(default, str) else None
        if base and base != "_self_":
            base = base.removeprefix(f"/{group}/")
            keys |= option_keys(group, base, folders)
    return {**keys, **values}


def option_file(group: str, name: str, folders: Sequence[Path]) -> Plain:
    """One option's file as it was written; empty where there is none."""
    path = next((path for folder in folders if (path := folder / group / f"{name}.yaml").is_file()), None)
    return dict(_read(path)) if path else {}


def option_nodes(group: str, folders: Sequence[Path]) -> dict[str, Plain]:
    """Every option of a group with its keys, resolved, by name."""
    return {
        name: plain(OmegaConf.create(option_keys(group, name, folders)), resolve=True)
        for name in _option_names(group, folders)
    }


def plain(config: DictConfig | ListConfig, resolve: bool = False) -> Plain:
    """The values of a mapping of OmegaConf's, with texts as keys."""
    values = OmegaConf.to_container(config, resolve=resolve)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


@functools.cache
def _read(path: Path) -> Plain:
    config = OmegaConf.load(path)
    return plain(config) if isinstance(config, DictConfig) else {}


def check_keys(config: Mapping[str, Any], known: Mapping[str, Any], folders: Sequence[Path]) -> None:
    """Refuse keys that no shipped or user's file lists, and notice listed ones that were deleted.

    Raises:
        GraftError: names the key and the nearest known one.
    """

    def walk(values: Mapping[str, Any], listed: Mapping[str, Any], prefix: str) -> None:
        for key, value in values.items():
            if key not in listed:
                raise unknown_key(f"{prefix}{key}", known, folders)
            if isinstance(value, Mapping) and isinstance(listed[key], Mapping) and listed[key]:
                walk(value, listed[key], f"{prefix}{key}.")
        for key in listed:
            if key not in values:
                raise GraftError(f"{prefix}{key} was taken out, but it is needed")

    walk(config, known, "")


def unknown_key(key: str, known: Mapping[str, Any], folders: Sequence[Path]) -> GraftError:
    """The error for a key that does not exist: names the option that has it, or the nearest key."""
    group, _, rest = key.partition(".")
    if owners := [
        name for name in _option_names(group, folders) if get(option_keys(group, name, folders), rest)
    ]:
        return GraftError(f"unknown key {key} with this {group}; it belongs to {group}={', '.join(owners)}")
    flat = {name: value for name, value in flatten(known).items() if "_target_" not in name}
    above, _, last = key.rpartition(".")
    if isinstance(siblings := get(known, above) if above else known, Mapping):
        near = nearest(last, siblings)
        hint = f"{above}.{near}" if above and near else near
    else:
        hint = nearest(key, flat)
    # Otherwise by the last word alone, among the keys that are not null.
    by_last = {name.rsplit(".", 1)[-1]: name for name, value in flat.items() if value is not None}
    hint = hint or by_last.get(nearest(last, by_last), "")
    return GraftError(f"unknown key {key}" + (f"; did you mean {hint}?" if hint else ""))


def _option_names(group: str, folders: Sequence[Path]) -> list[str]:
    if group not in PARTS:
        return []
    files = (path for folder in folders for path in (folder / group).glob("*.yaml"))
    return sorted({path.stem for path in files if not path.name.startswith("_")})
