"""What a value in the configuration may be. Imports no torch.

The shipped YAML files say which keys there are and, by their defaults, of which type; this module adds
the ranges, the choices and the rules between keys.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from graft.configuration.key_table import BUILT, RULES, TEXTS
from graft.configuration.metric_names import SCORED, VALIDATED, WATCHED, lower_is_better
from graft.configuration.rules import rule_of_default
from graft.errors import GraftError, did_you_mean

# A configuration's values to read, and the same as a new dict.
Config = Mapping[str, Any]
Plain = dict[str, Any]
# What `adapt=none` builds.
UNADAPTED = "graft.adaptation.none"
# What `head=source` builds: the head that the weights came with.
KEPT_HEAD = "graft.models.kept_head"
# What `optimizer=lbfgs` builds: it solves the head.
SOLVER = "graft.optim.LBFGS"


def check_values(config: Config, shipped: Config) -> None:
    """Check the type and range of every value against the YAML files' own, `shipped`, unresolved.

    Raises:
        GraftError: names the first key whose value is wrong, the value, and what is right.
    """
    # The shipped keys too, because a mapping in place of a value would hide its key.
    for key in {**flatten(config), **flatten(shipped)}:
        value = get(config, key)
        rule = RULES.get(key) or rule_of_default(get(shipped, key))
        if rule is not None and not rule.test(value):
            hint = did_you_mean(str(value), rule.choices)
            if key in TEXTS and isinstance(value, int | float):
                # On the command line it would be text, so it must stand in a file.
                hint = f"; YAML reads {spell(value)} as no text, so it needs quotes there"
            raise GraftError(f"{key}={spell(value)} is wrong: it must be {rule.wants}{hint}")


def check_targets(config: Config) -> None:
    """Check that every chosen option is one that can be built, not a part of others such as `_loading`.

    Raises:
        GraftError: names the group.
    """
    for group in BUILT:
        if isinstance(node := config.get(group), Mapping) and "_target_" not in node:
            raise GraftError(f"{group}: the chosen option has no _target_ to build; see graft list {group}")


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
    folds, fold = data.get("folds"), data.get("fold")
    if (folds is None) != (fold is None) or (fold is not None and fold > folds):
        raise GraftError(
            f"data.fold={spell(fold)} of data.folds={spell(folds)}: give both, the fold from 1 to the folds"
        )
    precision = str(get(config, "trainer.precision"))
    if get(config, "trainer.accelerator") == "cpu" and precision.startswith("16"):
        raise GraftError("trainer.precision=16-mixed needs a GPU; on a CPU use trainer.precision=bf16-mixed")
    if "ema" in (config.get("callbacks") or {}) and precision.endswith("16-true"):
        # The average's small steps would be lost in rounding.
        raise GraftError(
            "callbacks.ema needs weights in single precision; use trainer.precision=bf16-mixed, "
            f"not {precision}"
        )
    needs_features = {
        "cache.views": get(config, "cache.views") is not None,
        "head.standardize=true": get(config, "head.standardize") and not solves(config),
    }
    for word, holds in needs_features.items():
        if holds and get(config, "cache.features") in ("off", False):
            raise GraftError(f"{word} needs stored features; leave cache.features=off out")
    if (node := config.get("optimizer") or {}) and "weight_decay" in node:
        penalty = node["weight_decay"]
        if solves(config) and penalty == 0:
            raise GraftError(
                "optimizer.weight_decay=0 may leave a head without a solution; give more, or null: the best"
            )
        if penalty is None and not solves(config):
            raise GraftError(
                "optimizer.weight_decay=null is for optimizer=lbfgs; give a number, such as 0.01"
            )
    mixed = get(config, "mix._target_") not in (None, "graft.data.unmixed")
    regularizer, decay = get(config, "regularizer._target_"), get(config, "optimizer.weight_decay")
    if regularizer == "graft.objective.L2SP" and decay:
        raise GraftError(
            f"regularizer=l2_sp draws weights to their source and optimizer.weight_decay={decay} to zero;"
            " add optimizer.weight_decay=0"
        )
    if get(config, "trainer.sync_batchnorm") and str(regularizer).endswith(".StochNorm"):
        # Lightning would put its own layers in the place of the regulariser's.
        raise GraftError("trainer.sync_batchnorm=true does not go with regularizer=stochnorm")
    norm = get(config, "freeze.norm")
    if str(regularizer).endswith(".StochNorm") and norm in ("affine", "frozen"):
        raise GraftError(
            f"regularizer=stochnorm mixes statistics that freeze.norm={norm} holds still;"
            " give freeze.norm=train"
        )
    looks = (".Delta", ".BatchSpectralShrinkage", ".CoTuning")
    if config.get("compile") and str(regularizer).endswith(looks):
        raise GraftError("compile=true does not go with a regularizer that looks at each stage's output")
    backbone = config.get("backbone") or {}
    if regularizer == "graft.objective.CoTuning" and backbone.get("weights", "") is None:
        raise GraftError(
            "regularizer=co_tuning asks the head that the backbone was trained with, and"
            " backbone.weights=null has none; give torchvision's weights, or a Graft run or bundle"
        )
    if get(config, "head._target_") == KEPT_HEAD and backbone.get("weights") is None:
        raise GraftError(
            "head=source goes on with the head of backbone.weights, and there are none;"
            " give a Graft run or bundle, or head=linear"
        )
    _check_adapting(config)
    if (metric := get(config, "sweep.metric")) is not None and metric not in VALIDATED:
        raise GraftError(f"sweep.metric={metric} is nothing to choose by{_instead(metric, VALIDATED)}")
    for name, node in (config.get("callbacks") or {}).items():
        if isinstance(node, Mapping) and node.get("monitor") is not None:
            _check_monitor(f"callbacks.{name}", node["monitor"], node.get("mode"))
            if mixed and str(node["monitor"]).startswith("train/") and node["monitor"] != "train/loss":
                raise GraftError(
                    f"callbacks.{name} watches {node['monitor']}, which mixed images do not have; "
                    "watch train/loss, or give mix=none"
                )


def _check_adapting(config: Config) -> None:
    """Refuse adaptation to no target, and beside what would not know of the second domain."""
    if (adapt := config.get("adapt")) is None:
        return
    target = config.get("target")
    adapts = adapt.get("_target_") not in (None, UNADAPTED)
    if target is None:
        if adapts:
            option = str(adapt["_target_"]).rpartition(".")[2].lower()
            raise GraftError(
                f"adapt={option} adapts to a target domain; name its samples, such as "
                "data@target=image_folder target.root=FOLDER"
            )
        if get(config, "sweep.metric") == SCORED:
            raise GraftError(f"sweep.metric={SCORED} scores a target domain, and there is none")
        return
    refused = {
        "callbacks=ema": "ema" in (config.get("callbacks") or {}),
        "trainer=fsdp": get(config, "trainer.strategy") == "fsdp",
        "lr_find=true": bool(config.get("lr_find")),
    }
    if adapts and adapt.get("norm") == "separate":
        _check_moving(config)
    if word := next((word for word, holds in refused.items() if holds), None):
        raise GraftError(f"{word} does not go with a target domain; leave one of them out")


def _check_moving(config: Config) -> None:
    """Refuse statistics of each domain's own where none moves."""
    norm, strategy = get(config, "freeze.norm"), get(config, "freeze._target_")
    still = {
        "graft.freezing.Frozen": ("freeze=frozen", "give freeze.norm=statistics"),
        "graft.freezing.Lora": ("freeze=lora", "leave adapt.norm out"),
    }
    if norm in ("affine", "frozen") or (norm is None and strategy in still):
        word, way = still.get(str(strategy), ("", "give freeze.norm=train"))
        holder = word if norm is None else f"freeze.norm={norm}"
        raise GraftError(f"adapt.norm=separate keeps statistics that {holder} holds still; {way}")


def _check_monitor(key: str, monitor: object, mode: object) -> None:
    """Refuse a metric that does not exist, a direction that does not fit it, and the test set's."""
    if monitor not in WATCHED:
        hint = _instead(str(monitor), WATCHED)
        raise GraftError(f"{key}.monitor={monitor} is no metric that can be watched{hint}")
    right = "min" if lower_is_better(str(monitor)) else "max"
    if mode is not None and mode != right:
        raise GraftError(f"{key}.mode={mode} does not fit {monitor}; it must be {right}")


def _instead(metric: str, allowed: Sequence[str]) -> str:
    if metric.startswith("test/"):
        return ": the test set is for the end, so nothing is chosen on it"
    return did_you_mean(metric, allowed) or f"; there are {', '.join(allowed)}"


def solves(config: Config) -> bool:
    """Whether the head is solved on features, not trained by steps."""
    return bool(get(config, "optimizer._target_") == SOLVER)


def flatten(config: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested mappings as one mapping of dotted keys; empty mappings count as values."""
    flat: dict[str, object] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def without(config: Mapping[str, object], keys: Iterable[str]) -> dict[str, object]:
    """A configuration, nested or dotted, as dotted keys; `keys` and what is below them are left out."""
    heads = tuple(keys)
    below = tuple(f"{key}." for key in heads)
    flat = flatten(config)
    return {key: value for key, value in flat.items() if key not in heads and not key.startswith(below)}


def replaced(config: Config, key: str, value: object) -> Plain:
    """The configuration with another value at a dotted key; the mappings above the key must be there."""
    first, _, rest = key.partition(".")
    return {**config, first: replaced(config[first], rest, value) if rest else value}


def get(config: Config, key: str) -> Any:
    """The value at a dotted key, or None where there is none."""
    value: Any = config
    for word in key.split("."):
        if not isinstance(value, Mapping) or word not in value:
            return None
        value = value[word]
    return value


def spell(value: object) -> str:
    """A value as one would type it on the command line."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
