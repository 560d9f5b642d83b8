"""From the command line's words to a checked configuration of plain values. Imports no torch."""

import functools
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from graft.composition.data_of_run import data_of_run
from graft.composition.explanation import explain_hydra
from graft.composition.hydra_apart import hydra_apart
from graft.composition.optimizer_choice import FROZEN, choose_optimizer
from graft.composition.recipes import without_replaced
from graft.composition.words import made_ready
from graft.configuration.key_table import LOADING_KEYS
from graft.configuration.keys import (
    Choices,
    check_keys,
    conf_dir,
    key_of,
    known_keys,
    option_nodes,
    plain,
)
from graft.configuration.network_names import check_network, nodes_by_name, with_weights_named
from graft.configuration.rules import clean_name
from graft.configuration.schema import (
    KEPT_HEAD,
    UNADAPTED,
    Config,
    Plain,
    check_targets,
    check_together,
    check_values,
    get,
)
from graft.errors import GraftError, first_line

# Their networks learnt ImageNet or more, and their norm layers' statistics with it.
LIBRARIES = ("graft.backbones.torchvision_backbone", "graft.backbones.timm_backbone")
STOCH_NORM = "graft.objective.StochNorm"
ADABN = "graft.adaptation.AdaBN"
# By command: keys that do nothing there, and why.
WITHOUT_EFFECT = {
    "evaluate": (
        tuple(f"data.{key}" for key in LOADING_KEYS),
        "has split, batch_size and num_workers",
    ),
    "export": (tuple(f"data.{key}" for key in LOADING_KEYS), "loads images as it must"),
    "inspect": (("data.cache_images",), "reads each image once"),
    "rank": (("data.cache_images",), "reads each image once"),
    "advise": (("data.folds", "data.fold", "trainer.max_epochs"), "cuts folds and sets lengths itself"),
}
# Those that do nothing there without a backbone.
OF_A_BACKBONE = {"inspect": ("data.batch_size", "accelerator", "cache", "cache.dir", "cache.max_bytes")}


def register_resolvers() -> None:
    """Make `${graft.…}` known to OmegaConf."""
    OmegaConf.register_new_resolver("graft.id", _process_id, replace=True)
    OmegaConf.register_new_resolver("graft.name", _run_name, replace=True)
    OmegaConf.register_new_resolver("graft.pretrained", _pretrained, replace=True)
    OmegaConf.register_new_resolver("graft.adapted", _adapted, replace=True)
    OmegaConf.register_new_resolver("graft.frozen", _frozen, replace=True)
    OmegaConf.register_new_resolver("graft.new_head", _new_head, replace=True)
    OmegaConf.register_new_resolver("graft.norm", _norm, replace=True)


def prefer_own_options() -> None:
    """Let the files below `conf/hydra` take the place of options of the same name that come with plugins.

    Hydra would look for the file's keys in the plugin's option, with a warning.
    """
    from hydra.core.config_store import ConfigStore
    from hydra.core.plugins import Plugins

    Plugins.instance()
    for path in (conf_dir() / "hydra").rglob("*.yaml"):
        store: Any = ConfigStore.instance().repo
        for name in path.relative_to(conf_dir()).parent.parts:
            store = store.get(name, {})
        store.pop(path.name, None)


def _process_id() -> str:
    """Six random hex digits, the same for a whole process, so that a sweep's jobs share its folder."""
    return _id_of(os.getpid())


@functools.cache
def _id_of(process: int) -> str:
    # By the process's number: a forked process inherits what is cached.
    return secrets.token_hex(3)


def _choices(root: DictConfig) -> Choices:
    if "hydra" in root:
        return dict(root.hydra.runtime.choices)
    from hydra.core.hydra_config import HydraConfig

    return dict(HydraConfig.get().runtime.choices)


def _run_name(*, _root_: DictConfig) -> str:
    """`<backbone>-<freeze>` in characters that suit a file name."""
    choices = _choices(_root_)
    backbone = OmegaConf.select(_root_, "backbone.name", throw_on_missing=False) or choices["backbone"]
    return clean_name(f"{backbone}-{choices['freeze']}")[:80]


def _pretrained(trained: object, scratch: object, other: object = None, *, _root_: DictConfig) -> object:
    """The first value where `backbone.weights` are given, the second for a new network.

    With weights, a network that is neither torchvision's nor timm's takes `other`, where that is given: in
    experiments/fine-tuning SqueezeNet and the EfficientNet-Lites lost by rates that small networks gained by.
    """
    if OmegaConf.select(_root_, "backbone.weights") is None:
        return scratch
    if other is None or OmegaConf.select(_root_, "backbone._target_") in LIBRARIES:
        return trained
    return other


def _adapted(with_target: object, without: object, *, _root_: DictConfig) -> object:
    """The first value where there is a target domain, the second where there is none."""
    return without if OmegaConf.select(_root_, "target") is None else with_target


def _new_head(rate: object, *, _root_: DictConfig) -> object:
    """The value for a head that is new; null, the backbone's, for one that has been trained with it."""
    return None if OmegaConf.select(_root_, "head._target_") == KEPT_HEAD else rate


def _norm(*, _root_: DictConfig) -> str | None:
    """What norm layers do where the stage trains: with a library's weights their statistics stay.

    Statistics of few images are worth less than ImageNet's (experiments/norm-policies). StochNorm is about
    the images' own, so it has them; and where the target is to have its own, a network whose source has none
    falls (experiments/adaptation).
    """
    trained = OmegaConf.select(_root_, "backbone.weights") is not None
    library = OmegaConf.select(_root_, "backbone._target_") in LIBRARIES
    mixes = OmegaConf.select(_root_, "regularizer._target_") == STOCH_NORM
    method = OmegaConf.select(_root_, "adapt._target_")
    separate = OmegaConf.select(_root_, "adapt.norm") == "separate" and method != UNADAPTED
    apart = separate or method == ADABN
    return "affine" if trained and library and not (mixes or apart) else None


def _frozen(head_only: object, more: object, *, _root_: DictConfig) -> object:
    """The first value where `freeze` trains the head alone, the second where the backbone trains too."""
    return head_only if OmegaConf.select(_root_, "freeze._target_") == FROZEN else more


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
    overrides = made_ready(command, overrides)
    with hydra_apart():
        prefer_own_options()
        try:
            with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3", job_name=command):
                whole = hydra.compose(command, list(overrides), return_hydra_config=True)
        except (HydraException, OmegaConfBaseException) as error:
            raise explain_hydra(error, command, overrides) from error
        return check(whole, whole.hydra, command), whole.hydra


def check(cfg: DictConfig, hydra_cfg: DictConfig, command: str) -> Plain:
    """Check a configuration that Hydra composed, with Hydra's own node `hydra_cfg`, and resolve it.

    Returns:
        The resolved configuration as plain values; for `rank` with `options`, every backbone's node by name;
        with `notes`, lines for the person that say what was decided, where something was.

    Raises:
        GraftError: a key is unknown or missing, a value has the wrong type or range, or two contradict.
    """
    folders = [
        Path(source.path)
        for source in hydra_cfg.runtime.config_sources
        if source.schema == "file" and source.path
    ]
    choices = dict(hydra_cfg.runtime.choices)
    cfg = without_replaced(cfg, choices, folders, hydra_cfg.overrides.task)
    shipped = known_keys(command, choices, folders)
    keys = {key: value for key, value in plain(cfg).items() if key != "hydra"}
    run_data = data_of_run(command, cfg, hydra_cfg.overrides.task)
    if run_data is not None:
        shipped["data"], keys["data"] = run_data
    check_keys(keys, shipped, folders)
    notes: list[str] = []
    if "optimizer" in keys:
        shipped, notes = choose_optimizer(cfg, hydra_cfg, shipped, folders)
    config: Plain = {}
    for key in keys:
        if run_data is not None and key == "data":
            config[key] = keys[key]
            continue
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
            cause = error.__cause__ if isinstance(error, InterpolationResolutionError) else None
            raise GraftError(
                f"{getattr(error, 'full_key', None) or key}: {first_line(cause or error)}"
            ) from None
    if notes:
        config["notes"] = notes
    check_targets(config)
    check_values(config, shipped)
    for key in ("data.folds", "data.fold"):
        if command == "crossval" and get(config, key) is not None:
            raise GraftError(f"{key} is what graft crossval gives each of its runs; give folds=…")
    check_together(config)
    if (backbone := config.get("backbone")) is not None:
        config["backbone"] = with_weights_named(backbone)
        check_network(config["backbone"])
    if command == "extract":
        _check_sources(config)
    if command == "export" and config["int8"] is not None and config["format"] != "onnx":
        raise GraftError(f"int8={config['int8']} is for format=onnx, not format={config['format']}")
    if command == "inspect" and config.get("data") is None:
        raise GraftError("graft inspect looks at images; give data=…")
    if command == "inspect" and config["target"] is not None and config.get("backbone") is None:
        raise GraftError("data@target is compared with data by a backbone's features; give backbone=…")
    if command == "rank" and config.get("data") is None:
        raise GraftError("graft rank asks which backbone suits some images; give data=…")
    if command == "advise" and config.get("data") is None and config["resume"] is None:
        raise GraftError("graft advise answers for some images; give data=…")
    _check_effective(command, hydra_cfg.overrides.task, config)
    if command in ("rank", "advise"):
        _check_ranked(config)
        config["options"] = option_nodes("backbone", folders)
        asked = config["backbones"] if isinstance(config["backbones"], list) else []
        nodes_by_name(config["options"], asked, config["weights"])
    return config


def _check_effective(command: str, overrides: Sequence[str], config: Config) -> None:
    """Refuse keys of `data` that do nothing, such as those that say how to train where nothing trains."""
    keys, why = WITHOUT_EFFECT.get(command, ((), ""))
    for key in map(key_of, overrides):
        if key in keys:
            raise GraftError(f"{key} does nothing in graft {command}, which {why}")
        if key in OF_A_BACKBONE.get(command, ()) and config.get("backbone") is None:
            raise GraftError(f"{key} does nothing in graft {command} without backbone=…")


def _check_sources(config: Config) -> None:
    """Refuse to extract unless the words say exactly once what computes the features, and of which images."""
    by_run, by_name = config["run"] is not None, config.get("backbone") is not None
    if by_run == by_name:
        raise GraftError("give either run=FOLDER or backbone=… with data=…: one of them says what computes")
    if by_name and config.get("data") is None:
        raise GraftError("backbone=… has no images of its own; give data=… too")


def _check_ranked(config: Config) -> None:
    """Refuse weights of a backbone that is not ranked, and values that cannot be weights."""
    for name, weights in config["weights"].items():
        for path in weights if isinstance(weights, list) else [weights]:
            if not (path is None or (isinstance(path, str) and path)):
                raise GraftError(
                    f"weights.{name}={weights} is wrong: it must be a path, null, or a list of these"
                )
        if isinstance(config["backbones"], list) and name not in config["backbones"]:
            raise GraftError(f"weights.{name} is given, but backbones has no {name}")
