"""Training on one image at a time, which BatchNorm cannot where it sees one value of each channel."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from graft.configuration.run_config import RunConfig
from graft.data import SampleDataModule
from graft.errors import GraftError
from graft.features.extraction import evaluating
from graft.freezing import FreezePlan
from graft.freezing.parts import parts
from graft.training.module import TransferModule


def check_single_images(
    config: RunConfig, loading: SampleDataModule, module: TransferModule, plan: FreezePlan, size: int
) -> None:
    """Refuse batches of one image for each of `size` processes, where a layer needs two for its statistics.

    Raises:
        GraftError: names the layer, and what to give.
    """
    if loading.batch_size >= 2 * size:
        # Then no batch has a single image of a process: an epoch's images are shared out evenly.
        return
    moving = set(_moving(module, plan))
    names = {layer: name for name, layer in module.named_modules() if layer in moving}
    starved = _starved(module, loading, list(names)) if names else []
    if not starved:
        return
    layer = names[starved[0]]
    words = [f"data.batch_size={2 * size} or more"]
    if "norm" in config.freeze and not layer.startswith("head."):
        frozen = config.freeze["_target_"] == "graft.freezing.Frozen"
        words.append(f"freeze.norm={'frozen' if frozen else 'affine'}, which keeps the source's statistics")
    raise GraftError(
        f"data.batch_size={loading.batch_size}: of a single image BatchNorm in "
        f"{layer.removeprefix('backbone.stages.')} sees one value a channel, which it cannot normalise; give "
        f"{', or '.join(words)}"
    )


def _moving(module: TransferModule, plan: FreezePlan) -> Iterator[nn.Module]:
    """The layers that in some epoch take their statistics from the batch."""
    stages = module.backbone.stages
    for epoch in plan.phases:
        for part, layer, _ in parts(stages):
            if isinstance(layer, _BatchNorm) and plan.treatment(part, epoch).moves_statistics:
                yield layer
    # A head trains always; layers without parameters of their own go with their stage, and are rare.
    yield from (layer for layer in module.head.modules() if isinstance(layer, _BatchNorm))


@torch.no_grad()
def _starved(
    module: TransferModule, loading: SampleDataModule, layers: Sequence[nn.Module]
) -> list[nn.Module]:
    """Those of the layers that see one value of each channel of one image, the first to see it first."""
    starved: list[nn.Module] = []

    def look(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        if given[0].numel() == given[0].shape[1]:
            starved.append(layer)

    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        with evaluating(module.backbone, module.head):
            module.head(module.backbone(loading.first_inputs(1)))
    finally:
        for hook in hooks:
            hook.remove()
    return starved
