"""WiSE-FT: weights between those that a fine-tune began with and those that it ended with."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from graft.configuration.building import build
from graft.errors import GraftError
from graft.models.bundle import Bundle
from graft.models.bundle_files import read_description
from graft.runs.bundles import bundle_folder


def between(source: Mapping[str, Tensor], tuned: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """θ = (1−α)·θ_source + α·θ_tuned (arXiv:2109.01903), to the last bit at 0, at 1 and where both agree.

    BatchNorm's running statistics are interpolated as weights are: only so are both ends whole models, and
    frozen ones unchanged. Between the ends this is an approximation, since the variance of the mixed
    network's activations is not the mean of two variances; `take_statistics` puts that right. Whole numbers,
    which are counters, stay tuned. Both state dicts have the same keys and shapes; the types and devices of
    `tuned` are the result's.
    """
    mixed = {}
    for key, end in tuned.items():
        start = source[key].to(end)
        if not end.is_floating_point() or alpha == 1:
            mixed[key] = end
        else:
            mixed[key] = start if alpha == 0 else torch.lerp(start, end, alpha)
    return mixed


def move_towards_source(bundle: Bundle, path: str | Path, alpha: float) -> list[str]:
    """Put `between`'s weights into the bundle's backbone, in place; its head stays as it was trained.

    The source had no head for these classes, so at `alpha=0` the trained head stands on its features. The
    bundle at `path`, from which it was loaded, says what the source is.

    Returns:
        The layers of the bundle's model whose running statistics fit neither end.

    Raises:
        GraftError: the run was trained from scratch, or its source weights are gone.
    """
    description = read_description(bundle_folder(path))
    source = description.get("trained_from")
    if not isinstance(source, str):
        raise GraftError(f"wise_ft.alpha={alpha}: run={path} was trained from scratch, so it has no source")
    try:
        started = build({**description["backbone"], "weights": source}, "backbone")
    except GraftError as error:
        raise GraftError(
            f"wise_ft.alpha={alpha}: the source of run={path} is not to be had: {error}"
        ) from error
    backbone = bundle.backbone
    source_state, tuned_state = started.state_dict(), backbone.state_dict()
    backbone.load_state_dict(between(source_state, tuned_state, alpha))
    if alpha in (0, 1):
        return []
    return [f"backbone.{name}" for name in unfit(backbone, [source_state, tuned_state])]


def unfit(model: nn.Module, states: Sequence[Mapping[str, Tensor]]) -> list[str]:
    """The layers whose running statistics differ among state dicts, so that their mean fits none."""
    return [
        name
        for name, layer in model.named_modules()
        if isinstance(layer, _BatchNorm)
        and layer.running_mean is not None
        and any(
            not torch.equal(state[f"{name}.{statistic}"], states[0][f"{name}.{statistic}"])
            for state in states[1:]
            for statistic in ("running_mean", "running_var")
        )
    ]
