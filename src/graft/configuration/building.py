"""From a `_target_` in the configuration to an object, and which targets may be built."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pkgutil import resolve_name
from typing import Any

from graft.errors import GraftError, first_line

# What a saved configuration may name, and where the objects that these names lead to may be defined.
TRUSTED = (
    "graft.adaptation.",
    "graft.backbones.",
    "graft.data.",
    "graft.freezing.",
    "graft.optim.",
    "graft.models.",
    "graft.objective.",
    "graft.sources.",
    "graft.training.",
    "torch.nn.",
    "torch.optim.",
    "torchvision.transforms.v2.",
    "pytorch_lightning.",
)
HOMES = (
    "graft.adaptation.",
    "graft.backbones.",
    "graft.data.",
    "graft.sources.",
    "graft.freezing.",
    "graft.optim.",
    "graft.objective.",
    "graft.models.head.",
    "graft.models.source_head.kept_head",
    "graft.training.callbacks.",
    "graft.reporting.loggers.",
    "torch.nn.modules.",
    "torch.optim.",
    "torchvision.transforms.v2.",
    "pytorch_lightning.callbacks.",
    "pytorch_lightning.loggers.",
    "pytorch_lightning.trainer.",
)
# Packages that come with Graft. Parts from other packages are the user's own.
SHIPPED = ("graft", "torch", "torchvision", "pytorch_lightning")
# Names that runs and bundles may have recorded, and today's names.
MOVED = {
    **{
        f"graft.data.{name}": f"graft.sources.{name}"
        for name in ("csv_manifest", "digits", "glyphs", "image_folder", "torchvision_data")
    },
    **{
        f"graft.regularization.{name}": f"graft.objective.{name}"
        for name in ("BatchSpectralShrinkage", "CoTuning", "Delta", "L1", "L2", "L2SP", "StochNorm", "none")
    },
    **{f"graft.training.{name}": f"graft.models.{name}" for name in ("linear", "mlp")},
    "graft.training.ema.Ema": "graft.training.Ema",
}


def with_todays_names(node: Any) -> Any:
    """Plain values in which every `_target_`, at any depth, has the name that it has today."""
    if isinstance(node, Mapping):
        values = {key: with_todays_names(value) for key, value in node.items()}
        if isinstance(target := values.get("_target_"), str):
            values["_target_"] = MOVED.get(target, target)
        return values
    return [with_todays_names(value) for value in node] if isinstance(node, list) else node


def build(node: Mapping[str, Any], key: str, **extra: object) -> Any:
    """Build what `node["_target_"]` names from the node's other keys and `extra`.

    Args:
        node: plain values with a `_target_`; nested targets are built too.
        key: where the node stands in the configuration, for messages.
        extra: more arguments, or Hydra's own such as `_partial_=True`.

    Raises:
        GraftError: the target cannot be found, or refuses its arguments.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(with_todays_names(node), _convert_="all", **extra)
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, GraftError):
                raise cause from None
            if isinstance(cause, TypeError | ValueError | ImportError | AttributeError):
                # Hydra's own words for a failed import say less than the import's.
                cause = cause.__cause__ if isinstance(cause, ImportError) and cause.__cause__ else cause
                raise GraftError(f"{key}: {node.get('_target_')}: {first_line(cause)}") from error
            cause = cause.__cause__
        raise GraftError(f"{key}: {first_line(error)}") from error


def build_later(node: Mapping[str, Any], key: str) -> Callable[..., Any]:
    """As `build`, for a target that is called later with arguments that the configuration does not know.

    Raises:
        GraftError: the target cannot be found; or, when it is called, refuses its arguments.
    """
    # Imported here: it brings torch, which opening images does not need.
    from pytorch_lightning.utilities import exceptions

    refused = exceptions.MisconfigurationException  # type: ignore[attr-defined]

    partial = build(node, key, _partial_=True)

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return partial(*args, **kwargs)
        except (refused, TypeError, ValueError) as error:
            raise GraftError(f"{key}: {node.get('_target_')}: {first_line(error)}") from error

    return call


def own_packages(config: object) -> list[str]:
    """The packages of all targets, at any depth, but those that come with Graft."""
    return sorted(set(_packages(config)).difference(SHIPPED))


def _packages(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"]).split(".")[0]
        for value in node.values():
            yield from _packages(value)
    elif isinstance(node, list):
        for value in node:
            yield from _packages(value)


def check_trusted(node: object, trust: Iterable[str], where: str) -> None:
    """Refuse a configuration read back from a run or bundle that names code outside the allow-list.

    Args:
        node: plain values, walked whole.
        trust: packages or modules that the user trusts beside Graft's own (`trust=[mypkg]`).
        where: the file it was read from, for the message.

    Raises:
        GraftError: a `_target_` is not trusted, or a value holds an interpolation.
    """
    if isinstance(node, Mapping):
        if "_target_" in node:
            _check_target(str(node["_target_"]), tuple(f"{package.rstrip('.')}." for package in trust), where)
        for value in node.values():
            check_trusted(value, trust, where)
    elif isinstance(node, list | tuple):
        for value in node:
            check_trusted(value, trust, where)
    elif isinstance(node, str) and "${" in node:
        raise GraftError(f"{where} holds the interpolation {node}; saved configurations are resolved")


def _check_target(target: str, own: tuple[str, ...], where: str) -> None:
    """Refuse a target whose name, or whose place of definition, is not allowed.

    The name alone would not do: `graft.cli.console.os.system` begins like one of ours.
    """
    named = target
    if f"{target}.".startswith((*TRUSTED, *own)):
        try:
            thing: object = resolve_name(target)
        except Exception as error:
            raise GraftError(f"{where} names {target}, which cannot be had: {first_line(error)}") from error
        home = getattr(thing, "__module__", None) or "somewhere"
        named = f"{home}.{getattr(thing, '__qualname__', target)}"
        if named.startswith((*HOMES, *own)):
            return
    package = named.split(".")[0]
    raise GraftError(f"{where} names {target}, which is not trusted; add trust=[{package}] if it is yours")
