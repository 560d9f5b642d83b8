"""A timm model that no map knows: one block of stages, which freeze apart and run together."""

from typing import Any

from torch import Tensor, nn

from graft.backbones.groups import grouped
from graft.backbones.torchvision_stages import Stages


class Features(nn.Module):
    """All of a timm model but its classifier, as timm runs it."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:  # noqa: D102
        features: Tensor = self.model.forward_head(self.model.forward_features(images), pre_logits=True)
        return features


def timm_groups(model: Any) -> Stages:
    """The stages of a model without its classifier, by its own `group_matcher`, stem first.

    A model that has none (timm's PiT) is one stage.
    """
    from timm.models import group_parameters

    places: dict[int, int] = {}
    if hasattr(model, "group_matcher"):
        by_name = group_parameters(model, model.group_matcher(coarse=True), reverse=True)
        places = {id(parameter): by_name[name] for name, parameter in model.named_parameters()}
    return grouped(model, places, Features(model))
