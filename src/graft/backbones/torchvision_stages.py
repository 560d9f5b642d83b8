"""Which modules of a torchvision classifier make up which stage: one short function a family."""

from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models import (
    AlexNet,
    GoogLeNet,
    convnext,
    densenet,
    efficientnet,
    inception,
    maxvit,
    mnasnet,
    mobilenetv2,
    mobilenetv3,
    regnet,
    resnet,
    shufflenetv2,
    squeezenet,
    swin_transformer,
    vgg,
    vision_transformer,
)
from torchvision.models.googlenet import Inception
from torchvision.ops import Conv2dNormActivation

from graft.backbones.depth import Blocks
from graft.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from graft.backbones.vit_ends import Patches, TakeClassToken

Stages = dict[str, nn.Module]


class Family(NamedTuple):
    """What there is to know of a family of torchvision models.

    Attributes:
        stages: the model to its stages, stem first.
        last: path of the last layer, the only one that is dropped.
        sizes: which image sizes it takes: `one`, that of its weights; `least`, from torchvision's
            `min_size` upwards; `any`, where it pads what does not fit.
        pooling: how many modules at the end of the last stage run behind the last layer (see `Backbone`).
        blocks: classes of the modules that are a layer each (see `Backbone`), as timm has them; none where it
            has no such family.
        auxiliary: paths of the classifiers that only torchvision's own training uses; they are left out.
        arguments: what its constructor is told to be false.
    """

    stages: Callable[[Any], Stages]
    last: str
    sizes: Literal["one", "least", "any"] = "least"
    pooling: int = 0
    blocks: Blocks = ()
    auxiliary: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


class SpatialMean(nn.Module):
    """Feature maps `(N, D, H, W)` to their means `(N, D)`, where torchvision calls `mean` and no module."""

    def forward(self, maps: Tensor) -> Tensor:  # noqa: D102
        return maps.mean([2, 3])


def chain(*modules: nn.Module) -> nn.Sequential:
    """One stage of modules run in order; plain `Sequential`s are opened, so that keys stay short."""
    opened: list[nn.Module] = []
    for module in modules:
        opened += module.children() if type(module) is nn.Sequential else [module]
    return nn.Sequential(*opened)


def _numbered(name: str, modules: Iterable[nn.Module]) -> Stages:
    return {f"{name}{number}": module for number, module in enumerate(modules, start=1)}


def _and_then(stages: Stages, *tail: nn.Module) -> Stages:
    """The stages with `tail` at the end of the last."""
    last = list(stages)[-1]
    return {**stages, last: chain(stages[last], *tail)}


def between_poolings(features: Iterable[nn.Module]) -> list[nn.Module]:
    """Blocks that each end in a pooling, which makes the boundary behind them four times smaller."""
    blocks: list[list[nn.Module]] = [[]]
    for layer in features:
        blocks[-1].append(layer)
        if isinstance(layer, nn.MaxPool2d):
            blocks.append([])
    return [nn.Sequential(*block) for block in blocks if block]


class Rescaled(nn.Module):
    """Images normalised by ImageNet's mean and deviation to those by 0.5, as the Inception nets want them."""

    def forward(self, images: Tensor) -> Tensor:  # noqa: D102
        # Channel by channel, as torchvision does it, so that all bits agree.
        scales = zip(range(3), IMAGENET_MEAN, IMAGENET_STD, strict=True)
        channels = [images[:, i : i + 1] * (std / 0.5) + (mean - 0.5) / 0.5 for i, mean, std in scales]
        return torch.cat(channels, 1)


def _each_child(features: Iterable[nn.Module]) -> Stages:
    stem, *blocks, conv = features
    return {"stem": stem, **_numbered("block", blocks), "conv": conv}


def _with_downsampling(features: Iterable[nn.Module]) -> Stages:
    """Stem, stage, then downsampling and stage in turn."""
    stem, first, *rest = features
    later = [chain(down, stage) for down, stage in zip(rest[::2], rest[1::2], strict=True)]
    return {"stem": stem, **_numbered("stage", [first, *later])}


def _resnet(m: resnet.ResNet) -> Stages:
    stages: Stages = {"stem": chain(m.conv1, m.bn1, m.relu, m.maxpool)}
    stages |= {"layer1": m.layer1, "layer2": m.layer2, "layer3": m.layer3, "layer4": m.layer4}
    return _and_then(stages, m.avgpool, nn.Flatten())


def _vgg(m: AlexNet | vgg.VGG) -> Stages:
    blocks = _numbered("block", between_poolings(m.features))
    return {**blocks, "dense": chain(m.avgpool, nn.Flatten(), m.classifier[:-1])}


def _squeezenet(m: squeezenet.SqueezeNet) -> Stages:
    stem, *blocks = between_poolings(m.features)
    stages = {"stem": stem, **_numbered("block", blocks)}
    # torchvision's last layer, a convolution, comes before the pooling; a new head, which is linear, behind.
    return _and_then(stages, m.classifier[0], nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _mobilenetv2(m: mobilenetv2.MobileNetV2) -> Stages:
    return _and_then(_each_child(m.features), nn.AdaptiveAvgPool2d(1), nn.Flatten(), m.classifier[0])


def _mobilenetv3(m: mobilenetv3.MobileNetV3) -> Stages:
    return {**_each_child(m.features), "dense": chain(m.avgpool, nn.Flatten(), m.classifier[:-1])}


def _efficientnet(m: efficientnet.EfficientNet) -> Stages:
    return _and_then(_each_child(m.features), m.avgpool, nn.Flatten(), m.classifier[0])


def _convnext(m: convnext.ConvNeXt) -> Stages:
    return _and_then(_with_downsampling(m.features), m.avgpool, m.classifier[:-1])


def _densenet(m: densenet.DenseNet) -> Stages:
    f = m.features
    blocks = [chain(f.denseblock1, f.transition1), chain(f.denseblock2, f.transition2)]
    blocks += [chain(f.denseblock3, f.transition3), chain(f.denseblock4, f.norm5)]
    stages = {"stem": chain(f.conv0, f.norm0, f.relu0, f.pool0), **_numbered("block", blocks)}
    return _and_then(stages, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _vision_transformer(m: vision_transformer.VisionTransformer) -> Stages:
    blocks = _numbered("block", m.encoder.layers)
    return {"patches": Patches(m), **blocks, "norm": chain(m.encoder.ln, TakeClassToken())}


def _swin_transformer(m: swin_transformer.SwinTransformer) -> Stages:
    return _and_then(_with_downsampling(m.features), m.norm, m.permute, m.avgpool, m.flatten)


def _regnet(m: regnet.RegNet) -> Stages:
    stages = {"stem": m.stem, **_numbered("block", m.trunk_output)}
    return _and_then(stages, m.avgpool, nn.Flatten())


def _shufflenetv2(m: shufflenetv2.ShuffleNetV2) -> Stages:
    stages = {"stem": chain(m.conv1, m.maxpool), "stage2": m.stage2, "stage3": m.stage3, "stage4": m.stage4}
    return {**stages, "conv5": chain(m.conv5, SpatialMean())}


def _mnasnet(m: mnasnet.MNASNet) -> Stages:
    # Eight single layers, six stacks of blocks, then the last convolution with its norm and ReLU.
    layers = m.layers
    stages = {"stem": layers[:8], **_numbered("block", layers[8:14]), "conv": layers[14:]}
    return _and_then(stages, SpatialMean(), m.classifier[0])


def _maxvit(m: maxvit.MaxVit) -> Stages:
    return {"stem": m.stem, **_numbered("block", m.blocks), "dense": m.classifier[:-1]}


def _googlenet(m: GoogLeNet) -> Stages:
    stages: Stages = {"stem": chain(Rescaled(), m.conv1, m.maxpool1, m.conv2, m.conv3, m.maxpool2)}
    stages |= {"block3": chain(m.inception3a, m.inception3b, m.maxpool3)}
    inner = (m.inception4a, m.inception4b, m.inception4c, m.inception4d, m.inception4e, m.maxpool4)
    stages |= {"block4": chain(*inner), "block5": chain(m.inception5a, m.inception5b)}
    return _and_then(stages, m.avgpool, nn.Flatten(), m.dropout)


def _inception(m: inception.Inception3) -> Stages:
    stem = (m.Conv2d_1a_3x3, m.Conv2d_2a_3x3, m.Conv2d_2b_3x3, m.maxpool1)
    stages: Stages = {"stem": chain(Rescaled(), *stem, m.Conv2d_3b_1x1, m.Conv2d_4a_3x3, m.maxpool2)}
    stages |= {"mixed5": chain(m.Mixed_5b, m.Mixed_5c, m.Mixed_5d)}
    stages |= {"mixed6": chain(m.Mixed_6a, m.Mixed_6b, m.Mixed_6c, m.Mixed_6d, m.Mixed_6e)}
    stages |= {"mixed7": chain(m.Mixed_7a, m.Mixed_7b, m.Mixed_7c)}
    return _and_then(stages, m.avgpool, m.dropout, nn.Flatten())


# Keyed by the module of `torchvision.models` that defines the family.
FAMILIES = {
    "alexnet": Family(_vgg, "classifier.6"),
    "convnext": Family(_convnext, "classifier.2", blocks=(convnext.CNBlock,)),
    "densenet": Family(_densenet, "classifier", blocks=(densenet._DenseLayer,)),
    "efficientnet": Family(
        _efficientnet, "classifier.1", blocks=(efficientnet.MBConv, efficientnet.FusedMBConv)
    ),
    "googlenet": Family(
        _googlenet,
        "fc",
        blocks=(Inception,),
        auxiliary=("aux1", "aux2"),
        arguments=("aux_logits", "transform_input", "init_weights"),
    ),
    "inception": Family(
        _inception,
        "fc",
        blocks=tuple(getattr(inception, f"Inception{letter}") for letter in "ABCDE"),
        auxiliary=("AuxLogits",),
        arguments=("aux_logits", "transform_input", "init_weights"),
    ),
    "maxvit": Family(_maxvit, "classifier.5", sizes="one", blocks=(maxvit.MaxVitBlock,)),
    "mnasnet": Family(_mnasnet, "classifier.1", blocks=(mnasnet._InvertedResidual,)),
    "mobilenetv2": Family(_mobilenetv2, "classifier.1", blocks=(mobilenetv2.InvertedResidual,)),
    "mobilenetv3": Family(
        _mobilenetv3, "classifier.3", blocks=(mobilenetv3.InvertedResidual, Conv2dNormActivation)
    ),
    "regnet": Family(_regnet, "fc", blocks=(regnet.ResBottleneckBlock,)),
    "resnet": Family(_resnet, "fc", blocks=(resnet.BasicBlock, resnet.Bottleneck)),
    "shufflenetv2": Family(_shufflenetv2, "fc"),
    "squeezenet": Family(_squeezenet, "classifier.1", pooling=2),
    "swin_transformer": Family(
        _swin_transformer, "head", sizes="any", blocks=(swin_transformer.SwinTransformerBlock,)
    ),
    "vgg": Family(_vgg, "classifier.6", blocks=(nn.Conv2d,)),
    "vision_transformer": Family(
        _vision_transformer, "heads.head", sizes="one", blocks=(vision_transformer.EncoderBlock,)
    ),
}
