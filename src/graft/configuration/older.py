"""Configurations that an older Graft recorded, made whole for this one. Imports no torch."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from graft.configuration.keys import PARTS, Plain, conf_dir, known_keys
from graft.configuration.schema import BUILT, flatten
from graft.errors import GraftError

# Keys of `train.yaml` that say how a run is started; none is recorded.
OF_A_START = ("resume", "trust", "sweep", "notes")
# What was built by another name, with the keys that both must be given to do the same.
RENAMED = {"pytorch_lightning.loggers.CSVLogger": ("graft.training.StepTable", {"name", "version"})}


def completed(config: Mapping[str, Any], where: str) -> Plain:
    """A recorded configuration with the keys that came into being after it, at the values that files ship.

    A new key ships with the value that leaves everything as it was, so the run stays what it is.

    Args:
        config: resolved, as it was recorded.
        where: what it was read from, for the message.

    Raises:
        GraftError: the shipped value follows from others, so nobody can say what it would have been.
    """
    shipped = known_keys("train", {}, [conf_dir()])
    plain = {key: value for key, value in shipped.items() if key not in (*PARTS, *OF_A_START)}
    found = _filled(config, plain, where, "")
    for group, option in _defaults():
        default = _option(group, option)
        node = found.setdefault(group, default)
        if group in BUILT:
            # The default option first, where several build the same; but nested parts are in others.
            for listed in _of_target(node, [default, *_options(group)]):
                node = _filled(node, listed, where, f"{group}.")
            found[group] = node
        else:
            entries = [entry for option in _options(group) for entry in option.values()]
            for name, entry in node.items():
                whole = _renamed(entry)
                for listed in _of_target(whole, entries):
                    whole = _filled(whole, listed, where, f"{group}.{name}.")
                found[group] = {**found[group], name: whole}
    return found


def _defaults() -> Iterator[tuple[str, str]]:
    """Each group of parts with the option that stands for it unless another is chosen."""
    text = (conf_dir() / "train.yaml").read_text(encoding="utf-8")
    for default in yaml.safe_load(text)["defaults"]:
        if isinstance(default, dict):
            yield from ((group, option) for group, option in default.items() if group in PARTS)


def _options(group: str) -> list[Plain]:
    return [_option(group, path.stem) for path in sorted((conf_dir() / group).glob("[!_]*.yaml"))]


def _option(group: str, name: str) -> Plain:
    return dict(known_keys("train", {group: name}, [conf_dir()])[group])


def _of_target(node: Mapping[str, Any], listed: list[Plain]) -> list[Plain]:
    """Those of `listed` that build the same, with the keys that all of them have; no other is needed."""
    same = [other for other in listed if other.get("_target_") == node.get("_target_")]
    return [{key: other[key] for key in other if all(key in one for one in same)} for other in same]


def _renamed(node: Mapping[str, Any]) -> Mapping[str, Any]:
    now, keys = RENAMED.get(str(node.get("_target_")), ("", set()))
    return {**node, "_target_": now} if now and keys <= set(node) else node


def _filled(values: Mapping[str, Any], listed: Mapping[str, Any], where: str, prefix: str) -> Plain:
    found = dict(values)
    for key, default in listed.items():
        if key not in found:
            if not _is_plain(default):
                raise GraftError(f"{where} has no {prefix}{key}, without which this one cannot go on")
            found[key] = default
        elif _are_alike(found[key], default):
            found[key] = _filled(found[key], default, where, f"{prefix}{key}.")
    return found


def _are_alike(value: Any, default: Any) -> bool:
    """Whether both are mappings, and build the same if they build anything."""
    return (
        isinstance(value, Mapping)
        and isinstance(default, Mapping)
        and value.get("_target_") == default.get("_target_")
    )


def _is_plain(value: Any) -> bool:
    values = [str(part) for part in flatten({"": value}).values()]
    return not any("${" in part or part == "???" for part in values)
