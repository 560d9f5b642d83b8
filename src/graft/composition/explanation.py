"""Hydra's and OmegaConf's errors, rewritten as one line that says what to type instead."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import MissingConfigException, OverrideParseException

from graft.configuration.keys import (
    Choices,
    conf_dir,
    default_choices,
    known_keys,
    named_folders,
    unknown_key,
)
from graft.errors import GraftError, did_you_mean, first_line


def explain_hydra(error: Exception, command: str, overrides: Sequence[str]) -> GraftError:
    """The `GraftError` that says what an error of Hydra's or OmegaConf's means."""
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    if isinstance(error, MissingConfigException):
        return _no_such_option(error)
    text = str(error)
    key = re.search(r"Could not (?:override|append to config|delete from config)[^']*'([^'@]+)[^']*'", text)
    if key and "already at" in text:
        return GraftError(f"{key[1]} exists already; write {key[1]}=… without the +")
    if key:
        folders = [conf_dir(), *(Path(folder) for _, folder in named_folders(overrides))]
        known = known_keys(command, _chosen(command, overrides, folders), folders)
        return unknown_key(key[1], known, folders)
    if several := re.search(r"Ambiguous value for argument '([^']+)'", text):
        return GraftError(
            f"{several[1]}: several values make a sweep, which needs -m; one value needs quotes"
        )
    cause = error.__cause__
    lines = [line.strip() for part in (text, str(cause or "")) for line in part.splitlines()]
    return GraftError(next((line for line in lines if line), type(error).__name__))


def _unreadable(override: str) -> GraftError:
    """A word that Hydra's grammar cannot read: nearly always a path with blanks, brackets or `=` in it."""
    key, equals, value = override.partition("=")
    if not equals:
        return GraftError(f"{override}: expected key=value")
    escaped = value.strip("'\"").replace("\\", "\\\\").replace('"', '\\"')
    quoted = f'{key}="{escaped}"'
    if _parses(quoted):
        return GraftError(
            f"{override}: this value needs quotes, inside the shell's own: {shlex.quote(quoted)}"
        )
    return GraftError(f"{override}: not a key and a value that can be read")


def _parses(override: str) -> bool:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    try:
        OverridesParser.create().parse_override(override)
    except OverrideParseException:
        return False
    return True


def _no_such_option(error: MissingConfigException) -> GraftError:
    group, _, option = str(error.missing_cfg_file or "").rpartition("/")
    options = [name for name in error.options or [] if not name.startswith("_")]
    if not group or not options:
        return GraftError(first_line(error))
    hint = did_you_mean(option, options) or f"; there are {', '.join(options)}"
    return GraftError(f"{group}={option}: no such option{hint}")


def _chosen(command: str, overrides: Sequence[str], folders: Sequence[Path]) -> Choices:
    """The options that the defaults list and the command line choose, without composing anything."""
    chosen = default_choices(command)
    for word in overrides:
        group, _, option = word.lstrip("+").partition("=")
        if group in chosen and any((folder / group / f"{option}.yaml").is_file() for folder in folders):
            chosen[group] = option
    return chosen
