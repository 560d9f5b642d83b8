"""From a `_target_` in the configuration to an object, and which targets may be built."""

from collections.abc import Iterable, Mapping
from typing import Any

from graft.errors import GraftError

TRUSTED = (
    "graft.",
    "torch.nn.",
    "torch.optim.",
    "torchvision.transforms.v2.",
    "pytorch_lightning.callbacks.",
    "pytorch_lightning.loggers.",
    "pytorch_lightning.Trainer",
)


def build(node: Mapping[str, Any], key: str, **extra: Any) -> Any:
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
        return instantiate(dict(node), _convert_="all", **extra)
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, GraftError):
                raise cause from None
            if isinstance(cause, TypeError | ValueError | ImportError | AttributeError):
                raise GraftError(f"{key}: {node.get('_target_')}: {one_line(cause)}") from error
            cause = cause.__cause__
        raise GraftError(f"{key}: {one_line(error)}") from error


def check_trusted(node: Any, trust: Iterable[str], where: str) -> None:
    """Refuse a configuration read back from a run or bundle that names code outside the allow-list.

    Args:
        node: plain values, walked whole.
        trust: packages or modules that the user trusts beside Graft's own (`trust=[mypkg]`).
        where: the file it was read from, for the message.

    Raises:
        GraftError: a `_target_` is not trusted, or a value holds an interpolation.
    """
    allowed = (*TRUSTED, *(f"{package.rstrip('.')}." for package in trust))
    if isinstance(node, Mapping):
        target = node.get("_target_")
        if target is not None and not f"{target}.".startswith(allowed):
            package = str(target).split(".")[0]
            raise GraftError(
                f"{where} names {target}, which is not trusted; add trust=[{package}] if it is yours"
            )
        for value in node.values():
            check_trusted(value, trust, where)
    elif isinstance(node, list | tuple):
        for value in node:
            check_trusted(value, trust, where)
    elif isinstance(node, str) and "${" in node:
        raise GraftError(f"{where} holds the interpolation {node}; saved configurations are resolved")


def one_line(error: BaseException) -> str:
    """The first line of an error's message that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
