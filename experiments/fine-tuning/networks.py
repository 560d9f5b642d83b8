"""Two networks with BatchNorm, added to Graft as parts of one's own."""

from torch import nn
from torchvision.models.resnet import BasicBlock

from graft.backbones import Backbone, Preprocessing, load_weights, timm_backbone
from graft.backbones.weight_files import read_weights


def small_resnet(weights: str | None = None, image_size: int = 32) -> Backbone:
    """A residual network for 32 pixels: three blocks, 24 to 96 channels, BatchNorm; 96 features."""
    stages = {
        "stem": nn.Sequential(nn.Conv2d(3, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU()),
        "layer1": BasicBlock(24, 24),
        "layer2": BasicBlock(
            24, 48, 2, nn.Sequential(nn.Conv2d(24, 48, 1, 2, bias=False), nn.BatchNorm2d(48))
        ),
        "layer3": nn.Sequential(
            BasicBlock(48, 96, 2, nn.Sequential(nn.Conv2d(48, 96, 1, 2, bias=False), nn.BatchNorm2d(96))),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        ),
    }
    given = Preprocessing(image_size, image_size, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    read = read_weights(weights) if weights else None
    recorded = None if read is None else read.preprocessing()
    backbone = Backbone(stages, 96, recorded or given)
    if read is not None:
        load_weights(backbone, read)
    return backbone


def efficientnet_lite0(weights: str | None = None, image_size: int = 224) -> Backbone:
    """EfficientNet-Lite0, its BatchNorm as slow as TensorFlow's: a tenth of timm's momentum."""
    backbone = timm_backbone("tf_efficientnet_lite0", weights, image_size)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.01
    return backbone
