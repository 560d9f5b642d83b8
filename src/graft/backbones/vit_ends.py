"""The two ends of torchvision's vision transformer, which its `forward` holds rather than a module."""

import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from graft.errors import GraftError


class Patches(nn.Module):
    """Images `(N, 3, S, S)` to tokens `(N, 1 + P, D)`: the class token, then the P patches, with positions.

    Raises:
        GraftError: in `forward`, the images are not S x S; there are no positions for other patches.
    """

    def __init__(self, model: VisionTransformer) -> None:
        super().__init__()
        self.image_size: int = model.image_size
        self.conv_proj = model.conv_proj
        self.class_token = model.class_token
        self.pos_embedding = model.encoder.pos_embedding
        self.dropout = model.encoder.dropout

    def forward(self, images: Tensor) -> Tensor:  # noqa: D102
        size = self.image_size
        if images.shape[-2:] != (size, size):
            given = " x ".join(str(side) for side in images.shape[-2:])
            raise GraftError(f"backbone: this vision transformer takes {size} x {size} images, not {given}")
        patches = self.conv_proj(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(images), -1, -1), patches], dim=1)
        result: Tensor = self.dropout(tokens + self.pos_embedding)
        return result


class TakeClassToken(nn.Module):
    """Tokens `(N, 1 + P, D)` to the first of them, `(N, D)`."""

    def forward(self, tokens: Tensor) -> Tensor:  # noqa: D102
        return tokens[:, 0]
