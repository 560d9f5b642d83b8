"""What a run was, as its folder recorded it: its configuration as flat keys, its words. Imports no torch."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml

from graft.configuration.building import check_trusted
from graft.configuration.key_table import BUILT
from graft.configuration.keys import conf_dir, known_keys
from graft.configuration.metric_names import USUAL
from graft.configuration.schema import Plain, flatten
from graft.runs.bundles import is_crossval
from graft.runs.folder import RunFolder


def recorded(folder: RunFolder) -> dict[str, object]:
    """The run's configuration as dotted keys, each group's chosen option under the group's own name.

    Raises:
        OSError, yaml.YAMLError: it cannot be read.
    """
    flat: dict[str, object] = {}
    for key, value in folder.read_config().items():
        if key in BUILT and isinstance(value, Mapping):
            flat[key] = option_of(key, value)
            values = flatten(value, f"{key}.")
            flat |= {name: part for name, part in values.items() if not name.startswith(f"{key}._")}
        else:
            flat |= flatten({key: value})
    return flat


def trusted_config(path: str | Path, trust: Sequence[str]) -> Plain:
    """The configuration of the run, or the cross-validation, at `path`, its targets checked; else empty.

    Raises:
        GraftError: it names code that is not trusted.
    """
    folder = RunFolder(path)
    if not is_crossval(folder.path):
        if not folder.status_file.is_file():
            return {}
        folder = RunFolder.open(path)
    config = folder.read_config()
    check_trusted(config, trust, str(folder.config))
    return config


def option_of(group: str, node: Mapping[str, object]) -> str:
    """The option that a node came from: of those that build the same, the one whose values are most alike.

    A part of the user's own has the name of what is built.
    """
    # A target domain is any option of `data`.
    group = "data" if group == "target" else group
    target = node.get("_target_")
    values = flatten(node)
    nearest: tuple[int, str] | None = None
    for path in sorted((conf_dir() / group).glob("[!_]*.yaml")):
        listed = known_keys("train", {group: path.stem}, [conf_dir()])[group]
        if listed.get("_target_") != target:
            continue
        unlike = sum(values.get(key) != value for key, value in flatten(listed).items())
        if nearest is None or unlike < nearest[0]:
            nearest = unlike, path.stem
    if nearest is not None and group == "backbone" and node.get("name"):
        return str(node["name"])
    return nearest[1] if nearest else str(target).rsplit(".", 1)[-1]


def words_of(folder: RunFolder) -> list[str]:
    """The words that the run was begun with; none where they were not recorded."""
    if not folder.overrides.is_file():
        return []
    return [str(word) for word in yaml.safe_load(folder.overrides.read_text(encoding="utf-8")) or []]


def swept(folder: RunFolder) -> dict[str, object] | None:
    """What a sweep varied, with this run's values; None for a run that is no job of a sweep.

    A sweep's own words stand in `sweep.yaml`, in the folder above its jobs'; those of older ones in Hydra's
    `multirun.yaml`.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    words = next((words for path in _above(folder) if (words := _words_of_sweep(path))), None)
    if words is None:
        return None
    parse = OverridesParser.create().parse_overrides
    varied = {word.key_or_group for word in parse(words) if word.is_sweep_override()}
    return {
        word.key_or_group: word.value() for word in parse(words_of(folder)) if word.key_or_group in varied
    }


def metric_of_sweep(folder: RunFolder) -> str | None:
    """The metric that ranks the jobs of a run's sweep; None for a run without a sweep."""
    for path in _above(folder):
        if (plan := path / "sweep.yaml").is_file():
            return str(yaml.safe_load(plan.read_text(encoding="utf-8")).get("metric") or USUAL)
    return None


def metric_of_sweeps(folders: Iterable[RunFolder]) -> str:
    """The metric by which the sweeps of these runs rank them; the usual one if they differ."""
    metrics = {metric_of_sweep(folder) for folder in folders}
    return metrics.pop() or USUAL if len(metrics) == 1 else USUAL


def _above(folder: RunFolder) -> list[Path]:
    """Where the sweep of a run may be: a job's name may hold a slash."""
    return list(folder.path.parents[:2])


def _words_of_sweep(path: Path) -> list[str] | None:
    """The words of the sweep whose folder this is; None where it is no sweep's."""
    if (plan := path / "sweep.yaml").is_file():
        return [str(word) for word in yaml.safe_load(plan.read_text(encoding="utf-8"))["words"]]
    if not (older := path / "multirun.yaml").is_file():
        return None
    hydra = yaml.safe_load(older.read_text(encoding="utf-8"))["hydra"]
    params = [f"{key}={value}" for key, value in ((hydra.get("sweeper") or {}).get("params") or {}).items()]
    return [*params, *hydra["overrides"]["task"]]
