"""From the command line's words to a checked configuration of plain values. Imports no torch.

The shipped YAML files are the schema: a key that none of the chosen files lists is refused, also with `+`
or `++`, where Hydra by itself would take it without a word.
"""

import functools
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from graft.errors import GraftError, did_you_mean
from graft.schema import check_together, check_values, clean_name, flatten

Plain = dict[str, Any]
# Options of these groups change keys of other groups instead of having keys of their own.
RECIPES = ("experiment", "debug", "local")
PARTS = (
    "data",
    "augment",
    "backbone",
    "head",
    "freeze",
    "optimizer",
    "scheduler",
    "trainer",
    "logger",
    "callbacks",
)


def conf_dir() -> Path:
    """The shipped Hydra tree: inside an installed package, or at the top of a checkout."""
    here = Path(__file__).resolve().parent
    packaged = here / "conf"
    return packaged if packaged.is_dir() else here.parents[1] / "conf"


def register_resolvers() -> None:
    """Make `${graft.…}` known to OmegaConf."""
    OmegaConf.register_new_resolver("graft.id", _process_id, replace=True)
    OmegaConf.register_new_resolver("graft.name", _run_name, replace=True)
    OmegaConf.register_new_resolver("graft.pretrained", _pretrained, replace=True)
    OmegaConf.register_new_resolver("graft.frozen", _frozen, replace=True)


@functools.cache
def _process_id() -> str:
    """Six random hex digits, the same for a whole process, so that a sweep's jobs share its folder."""
    return secrets.token_hex(3)


def _choices(root: DictConfig) -> Mapping[str, Any]:
    if "hydra" in root:
        return dict(root.hydra.runtime.choices)
    from hydra.core.hydra_config import HydraConfig

    return dict(HydraConfig.get().runtime.choices)


def _run_name(*, _root_: DictConfig) -> str:
    """`<backbone>-<freeze>` in characters that suit a file name."""
    choices = _choices(_root_)
    backbone = OmegaConf.select(_root_, "backbone.name", throw_on_missing=False) or choices["backbone"]
    return clean_name(f"{backbone}-{choices['freeze']}")[:80]


def _pretrained(trained: Any, scratch: Any, *, _root_: DictConfig) -> Any:
    """The first value where `backbone.weights` are given, the second for a new network."""
    return scratch if OmegaConf.select(_root_, "backbone.weights") is None else trained


def _frozen(head_only: Any, more: Any, *, _root_: DictConfig) -> Any:
    """The first value where `freeze` trains the head alone, the second where the backbone trains too."""
    return head_only if OmegaConf.select(_root_, "freeze._target_") == "graft.freezing.Frozen" else more


def compose(command: str, overrides: Sequence[str]) -> tuple[Plain, DictConfig]:
    """Compose and check a command's configuration from Python, as the command line would.

    Returns:
        The checked configuration as plain values, and Hydra's own node.

    Raises:
        GraftError: an override is wrong.
    """
    import hydra
    from hydra.errors import HydraException

    register_resolvers()
    try:
        with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3", job_name=command):
            whole = hydra.compose(command, list(overrides), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, command, overrides) from error
    return check(whole, whole.hydra, command), whole.hydra


def check(cfg: DictConfig, hydra_cfg: DictConfig, command: str) -> Plain:
    """Check a composed configuration and resolve it.

    Args:
        cfg: what Hydra composed; a `hydra` node in it is left out of the result.
        hydra_cfg: Hydra's own node, which knows the chosen options and where they were read.
        command: `train`, `evaluate` or `predict`.

    Returns:
        The resolved configuration as plain values.

    Raises:
        GraftError: a key is unknown or missing, a value has the wrong type or range, or two contradict.
    """
    folders = [
        Path(source.path)
        for source in hydra_cfg.runtime.config_sources
        if source.schema == "file" and source.path
    ]
    shipped = known_keys(command, dict(hydra_cfg.runtime.choices), folders)
    raw = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(raw, dict)
    keys = {str(key): value for key, value in raw.items() if key != "hydra"}
    check_keys(keys, shipped)
    config = {}
    for key in keys:
        try:
            value = cfg[key]
            config[key] = (
                OmegaConf.to_container(value, resolve=True, throw_on_missing=True)
                if OmegaConf.is_config(value)
                else value
            )
        except MissingMandatoryValue as error:
            missing = getattr(error, "full_key", None) or key
            raise GraftError(f"{missing} is missing; give {missing}=…") from None
        except OmegaConfBaseException as error:
            where = getattr(error, "full_key", None) or key
            raise GraftError(f"{where}: {_first_line(error)}") from None
    check_values(config, shipped)
    check_together(config)
    return config


def known_keys(command: str, choices: Mapping[str, Any], folders: Sequence[Path]) -> Plain:
    """Every key that the command and the chosen options define, with the values that the files give them.

    Args:
        command: whose primary file is read.
        choices: group to chosen option.
        folders: where options are looked for, in Hydra's order: the first that has one wins.
    """
    primary = _load(conf_dir() / f"{command}.yaml")
    known: Plain = {key: value for key, value in primary.items() if key not in ("defaults", "hydra")}
    # A group that the command line takes out altogether is missed like a key.
    defaults = [default for default in primary["defaults"] if isinstance(default, dict)]
    known |= {
        group: {} for default in defaults for group, option in default.items() if group in PARTS and option
    }
    for group, option in choices.items():
        if option is None or group.startswith("hydra/") or "@" in group:
            continue
        options = [option] if isinstance(option, str) else list(option)
        for name in options:
            values = _option(group, name, folders)
            if group not in RECIPES:
                known[group] = {**known.get(group, {}), **values}
            elif not _shipped(group, name):
                # A recipe in the user's own folder may bring top-level keys of its own.
                known = {**{key: value for key, value in values.items() if key not in PARTS}, **known}
    return known


def _shipped(group: str, name: str) -> bool:
    return (conf_dir() / group / f"{name}.yaml").is_file()


def _option(group: str, name: str, folders: Sequence[Path]) -> Plain:
    """The keys of one option's file, with those of the files of the same group that it builds on."""
    path = next((path for folder in folders if (path := folder / group / f"{name}.yaml").is_file()), None)
    if path is None:
        return {}
    values = _load(path)
    keys: Plain = {}
    for default in values.pop("defaults", []):
        base = default.removesuffix("@_here_") if isinstance(default, str) else None
        if base and base != "_self_":
            base = base.removeprefix(f"/{group}/")
            keys |= _option(group, base, folders)
    return {**keys, **values}


@functools.cache
def _read(path: Path) -> Any:
    return OmegaConf.to_container(OmegaConf.load(path), resolve=False)


def _load(path: Path) -> Plain:
    values = _read(path)
    return {str(key): value for key, value in values.items()} if isinstance(values, dict) else {}


def check_keys(config: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuse keys that no shipped or user's file lists, and notice listed ones that were deleted.

    Raises:
        GraftError: names the key and the nearest known one.
    """

    def walk(values: Mapping[str, Any], listed: Mapping[str, Any], prefix: str) -> None:
        for key, value in values.items():
            if key not in listed:
                raise unknown_key(f"{prefix}{key}", known)
            if isinstance(value, Mapping) and isinstance(listed[key], Mapping) and listed[key]:
                walk(value, listed[key], f"{prefix}{key}.")
        for key in listed:
            if key not in values:
                raise GraftError(f"{prefix}{key} was taken out, but it is needed")

    walk(config, known, "")


def unknown_key(key: str, known: Mapping[str, Any]) -> GraftError:
    """The answer to a key that does not exist: the nearest of those that do."""
    flat = {name: value for name, value in flatten(known).items() if "_target_" not in name}
    last = key.rsplit(".", 1)[-1]
    same = [name for name in flat if name.rsplit(".", 1)[-1] == last]
    hint = f"; did you mean {same[0]}?" if same and "." not in key else did_you_mean(key, [*known, *flat])
    if not hint:
        # By the last word alone; keys that are in use before those that stand at null.
        by_last = {name.rsplit(".", 1)[-1]: name for name, value in flat.items() if value is not None}
        near = did_you_mean(last, by_last).removeprefix("; did you mean ").removesuffix("?")
        hint = f"; did you mean {by_last[near]}?" if near else ""
    return GraftError(f"unknown key {key}{hint}")


def explain(error: Exception, command: str, overrides: Sequence[str]) -> GraftError:
    """One of Hydra's or OmegaConf's own errors in the words of the person at the keyboard."""
    from graft.explanation import explain_hydra

    return explain_hydra(error, overrides, functools.partial(known_keys, command))


def _first_line(error: Exception) -> str:
    cause: BaseException = error
    if isinstance(error, InterpolationResolutionError) and error.__cause__ is not None:
        cause = error.__cause__
    return next((line for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
