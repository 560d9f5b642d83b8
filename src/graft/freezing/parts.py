"""What a strategy decides about: the parameters of a backbone's stages, and what each of them is."""

from dataclasses import dataclass
from typing import NamedTuple

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm, nn.RMSNorm)


@dataclass(frozen=True)
class Part:
    """What a strategy decides about: one parameter of the backbone.

    Attributes:
        stage: index of its stage, 0 being the stem.
        stages: how many stages the backbone has.
        stage_name: name of the stage, such as `layer4`.
        name: the parameter's name inside the stage, such as `0.conv1.weight`.
        kind: `weight`, `bias`, `norm` (weight and bias of a normalisation layer) or `lora`.
    """

    stage: int
    stages: int
    stage_name: str
    name: str
    kind: str

    @property
    def full_name(self) -> str:
        """The name inside the backbone, such as `layer4.0.conv1.weight`."""
        return f"{self.stage_name}.{self.name}"


class Located(NamedTuple):
    """A part with where it is: the module that owns it, and the parameter itself."""

    part: Part
    module: nn.Module
    parameter: nn.Parameter


def parts(stages: nn.ModuleDict) -> list[Located]:
    """Every parameter of the ordered stages with what a strategy may know about it."""
    located = []
    for index, (stage_name, stage) in enumerate(stages.items()):
        for module_name, module in stage.named_modules():
            for own_name, parameter in module.named_parameters(recurse=False):
                name = f"{module_name}.{own_name}" if module_name else own_name
                part = Part(index, len(stages), stage_name, name, kind_of(module, own_name))
                located.append(Located(part, module, parameter))
    return located


def kind_of(module: nn.Module, name: str) -> str:
    """The kind of `module`'s own parameter `name`, by the module, since names say little.

    A module may say it by an attribute `kind`.
    """
    if isinstance(kind := getattr(module, "kind", None), str):
        return kind
    if isinstance(module, NORMS) or _like_a_norm(module):
        return "norm"
    return "bias" if name.endswith("bias") else "weight"


def _like_a_norm(module: nn.Module) -> bool:
    """Whether it is a normalisation layer of a library's own, such as timm's `RmsNorm`."""
    own = list(module.parameters(recurse=False))
    return "Norm" in type(module).__name__ and all(parameter.ndim <= 1 for parameter in own)
