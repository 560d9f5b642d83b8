"""Which modules of a timm classifier make up which stage, read from the model's own structure."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from torchvision.ops import Permute

from graft.backbones.depth import Blocks
from graft.backbones.torchvision_stages import Stages, between_poolings, chain

# What a block is given beside the tensor: positions, the number of patches, and so on.
Extras = Mapping[int, tuple[tuple[object, ...], dict[str, object]]]


class Cut(NamedTuple):
    """Where a family of timm models is cut, in the order in which its `forward_features` runs.

    Attributes:
        blocks: children that are a stage each; of a `Sequential` or `ModuleList` each of its own children.
        end: children, or methods, that run between the last of these and `forward_head`.
        name: of the stage that the end and `forward_head` make up; None: they belong to the last block's.
        late: the model's own parameters that the end uses; all others belong to the stem.
    """

    blocks: tuple[str, ...]
    end: tuple[str, ...] = ()
    name: str | None = None
    late: tuple[str, ...] = ()


_STAGES = Cut(("stages",))
_VIT = Cut(("blocks",), ("norm",), "norm")
_RESNET = Cut(("layer1", "layer2", "layer3", "layer4"))
_MOBILE = Cut(("blocks",), name="conv")

# Keyed by the module of `timm.models` that defines the model's class.
FAMILIES = {
    "beit": _VIT,
    "byobnet": Cut(("stages",), ("final_conv",), "conv"),
    "cait": Cut(("blocks",), ("forward_cls", "norm"), "class_attention", ("cls_token",)),
    "convmixer": Cut(("blocks",)),
    "convnext": Cut(("stages",), ("norm_pre",)),
    "cpubone": _STAGES,
    "csatv2": _STAGES,
    "cspnet": _STAGES,
    "cspnext": _STAGES,
    "davit": Cut(("stages",), ("norm_pre",)),
    "deit": _VIT,
    "dla": Cut(("level2", "level3", "level4", "level5")),
    "edgenext": Cut(("stages",), ("norm_pre",)),
    "efficientformer": Cut(("stages",), ("norm",)),
    "efficientformer_v2": Cut(("stages",), ("norm",)),
    "efficientnet": Cut(("blocks",), ("conv_head", "bn2"), "conv"),
    "efficientvit_mit": Cut(("stages",), name="dense"),
    "efficientvit_msra": _STAGES,
    "eva": _VIT,
    "fasternet": Cut(("stages",), name="conv"),
    "fastvit": Cut(("stages",), ("final_conv",), "conv"),
    "focalnet": Cut(("layers",), ("norm",)),
    "gcvit": _STAGES,
    "ghostnet": _MOBILE,
    "hgnet": Cut(("stages",), name="dense"),
    "hiera": Cut(("blocks",)),
    "iformer": _STAGES,
    "inception_next": Cut(("stages",), name="dense"),
    "lcnetv2": Cut(("stages",), name="conv"),
    "lowformer": Cut(("stages",), name="dense"),
    "mambaout": Cut(("stages",), name="dense"),
    "maxxvit": Cut(("stages",), ("norm",)),
    "metaformer": Cut(("stages",), name="dense"),
    "mlp_mixer": Cut(("blocks",), ("norm",), "norm"),
    "mobilenetv3": _MOBILE,
    "nextvit": Cut(("stages",), ("norm",)),
    "nfnet": Cut(("stages",), ("final_conv", "final_act"), "conv"),
    "pvt_v2": _STAGES,
    "rdnet": Cut(("dense_stages",), ("norm_pre",)),
    "regnet": Cut(("s1", "s2", "s3", "s4"), ("final_conv",)),
    "repghost": _MOBILE,
    "repvit": _STAGES,
    "resnet": _RESNET,
    "resnetv2": Cut(("stages",), ("norm",)),
    "rexnet": Cut(("features",)),
    "senet": _RESNET,
    "sequencer": Cut(("stages",), ("norm",)),
    "shvit": _STAGES,
    "starnet": Cut(("stages",), ("norm",)),
    "swiftformer": Cut(("stages",), ("norm",)),
    "swin_transformer": Cut(("layers",), ("norm",)),
    "swin_transformer_v2": Cut(("layers",), ("norm",)),
    "swin_transformer_v2_cr": _STAGES,
    "tiny_vit": _STAGES,
    "vision_transformer": _VIT,
    "vision_transformer_relpos": _VIT,
    "vovnet": _STAGES,
    "xception_aligned": Cut(("blocks",), ("act",)),
    "xcit": Cut(("blocks",), ("forward_cls", "norm"), "class_attention", ("cls_token",)),
}


class Stem(nn.Module):
    """Images `(N, 3, H, W)` to what enters the first block: `forward_features` of a model without blocks."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:  # noqa: D102
        result: Tensor = self.model.forward_features(images)
        return result


class End(nn.Module):
    """What leaves the last block to features `(N, D)`: the steps that follow it, then `forward_head`."""

    def __init__(self, model: Any, steps: Iterable[str]) -> None:
        super().__init__()
        self.model = model
        self.steps = tuple(steps)

    def forward(self, tensor: Tensor) -> Tensor:  # noqa: D102
        for step in self.steps:
            tensor = getattr(self.model, step)(tensor)
        result: Tensor = self.model.forward_head(tensor, pre_logits=True)
        return result


class Given(nn.Module):
    """A block with what else its model gives it, which depends on the image size alone."""

    def __init__(self, block: nn.Module, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        super().__init__()
        self.block = block
        self.args = tuple(self._kept(str(place), value) for place, value in enumerate(args))
        self.kwargs = {key: self._kept(key, value) for key, value in kwargs.items()}

    def _kept(self, name: str, value: object) -> object:
        """The value; a tensor as the name of a buffer, so that it goes where the module goes."""
        if not isinstance(value, Tensor):
            return value
        self.register_buffer(f"given_{name}", value.clone(), persistent=False)
        return f"given_{name}"

    def _now(self, value: object) -> object:
        return getattr(self, value) if isinstance(value, str) and value.startswith("given_") else value

    def forward(self, tensor: Tensor) -> Tensor:  # noqa: D102
        args = [self._now(value) for value in self.args]
        kwargs = {key: self._now(value) for key, value in self.kwargs.items()}
        result: Tensor = self.block(tensor, *args, **kwargs)
        return result


class AddPositions(nn.Module):
    """Tokens `(N, H, W, C)` with VOLO's position added to each."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.pos_embed, self.pos_drop = model.pos_embed, model.pos_drop

    def forward(self, tokens: Tensor) -> Tensor:  # noqa: D102
        result: Tensor = self.pos_drop(tokens + self.pos_embed)
        return result


def cut(model: nn.Module, family: str, extras: Extras) -> Stages:
    """The stages of a model without its classifier, stem first.

    Args:
        model: of timm; its own modules are taken, none is copied.
        family: a key of `FAMILIES`.
        extras: what `recorded` gave, by the place of the block.
    """
    if family in SPECIAL:
        return SPECIAL[family](model)
    where = FAMILIES[family]
    children = dict(model.named_children())
    first = min(list(children).index(name) for name in where.blocks)
    early = [name for name in list(children)[:first] if name not in where.end]
    late = [name for name in children if name not in (*early, *where.blocks)]
    own = {*model._parameters, *model._buffers}
    stem = _view(model, early, own - set(where.late))
    for name in where.blocks:
        stem._modules[name] = _emptied(children[name])
    for name in where.end:
        if name in children:
            stem._modules[name] = nn.Identity()
    embeds = "patch_embed" in children
    stages: Stages = {"patches" if embeds and "blocks" in where.blocks else "stem": Stem(stem)}
    for place, (name, block) in enumerate(blocks(model, family).items()):
        args, kwargs = extras.get(place, ((), {}))
        stages[name] = Given(block, args, kwargs) if args or kwargs else block
    end = End(_view(model, late, where.late), where.end)
    if where.name is not None and any(True for _ in end.parameters()):
        return {**stages, where.name: end}
    last, block = stages.popitem()
    return {**stages, last: chain(block, end)}


def blocks(model: nn.Module, family: str) -> Stages:
    """The blocks of a model by the names of their stages."""
    stages: Stages = {}
    for name in FAMILIES[family].blocks:
        child = model.get_submodule(name)
        if name[-1].isdigit():
            stages[name] = child
            continue
        singular = {"features": "block", "dense_stages": "stage"}.get(name, name.rstrip("s"))
        stages |= {f"{singular}{number}": block for number, block in enumerate(child.children(), start=1)}
    return stages


def layers(model: Any, family: str) -> tuple[Blocks, int]:
    """The classes of the modules that timm counts as a layer each, and the head's level by its count.

    What timm groups with the block after it or before it, such as a downsampling, is no layer.
    """
    if family not in FAMILIES or not hasattr(model, "group_matcher"):
        return (), 0
    from timm.models import group_parameters

    by_name = group_parameters(model, model.group_matcher(coarse=False), reverse=True)
    level_of = {id(parameter): by_name[name] for name, parameter in model.named_parameters()}
    inside = [module for block in blocks(model, family).values() for module in block.modules()]
    levels_of = {module: {level_of[id(parameter)] for parameter in module.parameters()} for module in inside}
    # A stage of one block is no layer where other stages have several.
    holders = {type(module) for module, levels in levels_of.items() if len(levels) > 1}
    holders |= {nn.Sequential, nn.ModuleList}
    last: dict[int, type[nn.Module]] = {}
    waiting = list(reversed(blocks(model, family).values()))
    while waiting:
        module = waiting.pop()
        if type(module) in holders:
            waiting += reversed(list(module.children()))
        elif any(parameter.ndim > 1 for parameter in module.parameters()):
            last[levels_of[module].pop()] = type(module)
    return tuple(dict.fromkeys(last.values())), max(by_name.values())


def recorded(model: Any, family: str, images: Tensor) -> tuple[Tensor, Extras]:
    """The features `(N, D)` that timm itself gives, and what each block was given beside the tensor."""
    extras: dict[int, tuple[tuple[object, ...], dict[str, object]]] = {}
    hooks: list[RemovableHandle] = []

    def note(place: int, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        if any(value is not None and value is not False for value in (*args[1:], *kwargs.values())):
            extras[place] = args[1:], kwargs

    for place, block in enumerate(blocks(model, family).values() if family in FAMILIES else ()):
        hook = lambda _, args, kwargs, place=place: note(place, args, kwargs)  # noqa: E731
        hooks.append(block.register_forward_pre_hook(hook, with_kwargs=True))
    try:
        with torch.no_grad():
            features: Tensor = model.forward_head(model.forward_features(images), pre_logits=True)
    finally:
        for handle in hooks:
            handle.remove()
    return features, extras


def _densenet(model: Any) -> Stages:
    """DenseNet has its stem, its blocks and what shrinks the maps between them in one sequence."""
    groups: list[list[nn.Module]] = [[]]
    for name, child in model.features.named_children():
        if name.startswith("denseblock"):
            groups.append([])
        groups[-1].append(child)
    stem, *numbered = (nn.Sequential(*group) for group in groups)
    stages = {"stem": stem, **{f"block{number}": block for number, block in enumerate(numbered, start=1)}}
    last, block = stages.popitem()
    return {**stages, last: chain(block, End(_view(model, ["global_pool", "head_drop"], ()), ()))}


def _vgg(model: Any) -> Stages:
    """VGG is cut behind each pooling, as torchvision's is."""
    numbered = enumerate(between_poolings(model.features), start=1)
    end = End(_view(model, ["pre_logits", "head"], ()), ())
    return {**{f"block{number}": block for number, block in numbered}, "dense": end}


def _volo(model: Any) -> Stages:
    """VOLO adds its positions in the middle, and has no module for what it does to the tokens' shape."""
    first, second, third, *others = model.network
    numbered = [first, second, chain(AddPositions(model), third), *others]
    end = End(_view(model, ["post_network", "norm", "head_drop"], ["cls_token"]), ["forward_cls", "norm"])
    return {
        "stem": chain(model.patch_embed, Permute([0, 2, 3, 1])),
        **{f"block{number}": block for number, block in enumerate(numbered, start=1)},
        "class_attention": chain(nn.Flatten(1, 2), end),
    }


SPECIAL = {"densenet": _densenet, "vgg": _vgg, "volo": _volo}


def _view(model: nn.Module, children: Iterable[str], own: Iterable[str]) -> nn.Module:
    """The same model with some of its children and of its own parameters and buffers alone, none copied."""
    view = copy.copy(model)
    kept, named = set(children), set(own)
    view._modules = {name: child if name in kept else None for name, child in model._modules.items()}
    view._parameters = {name: value if name in named else None for name, value in model._parameters.items()}
    view._buffers = {name: value if name in named else None for name, value in model._buffers.items()}
    return view


def _emptied(container: nn.Module) -> nn.Module:
    """What a container becomes when its blocks are taken out; models iterate over some."""
    if isinstance(container, nn.ModuleList):
        return nn.ModuleList()
    return nn.Sequential() if isinstance(container, nn.Sequential) else nn.Identity()
