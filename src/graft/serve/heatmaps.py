"""What a network looked at: which places of an image speak for a class.

HiResCAM (Draelos and Carin, 2020, "Use HiResCAM instead of Grad-CAM for faithful explanations of
convolutional neural networks"): activation times gradient, place by place, summed over channels, what is
below 0 cut off. Where one linear layer follows, these sums are what each place adds to the class; Grad-CAM,
which takes the mean of the gradient over all places, loses that where a head knows places, as after a
flattening.

A late layer says which thing it is and hardly where, an earlier one where and hardly which; so the map is the
product of theirs, as in Poly-CAM (Englebert and others, 2022, arXiv:2204.13359); what that is worth stands in
experiments/heatmaps.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

# A tensor `(N, …)` to `(N, C, H, W)`.
Layout = Callable[[Tensor], Tensor]
# Places a side that a map should have; a later layer with fewer is passed over while an earlier one has them.
ENOUGH = 4
# How many times the places of a late layer the finer one may have: the pixels themselves would be noise.
FINER = 4
# Images that are tried, and the share of places at which a gradient must stand for a layer to be of use.
TRIED, SHARE = 4, 0.25


def channels_first(tensor: Tensor) -> Tensor:
    """Maps as convolutions have them."""
    return tensor


def channels_last(tensor: Tensor) -> Tensor:
    """Maps `(N, H, W, C)` as Swin has them."""
    return tensor.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class PatchTokens:
    """Tokens `(N, L, C)` of a vision transformer: the last `side` x `side` of them are patches, in rows.

    Those before them, such as the class token, DeiT's for distillation and registers, stand at no place.
    """

    side: int

    def __call__(self, tokens: Tensor) -> Tensor:  # noqa: D102
        patches = tokens[:, tokens.shape[1] - self.side**2 :]
        return patches.transpose(1, 2).reshape(len(tokens), -1, self.side, self.side)


@dataclass(frozen=True)
class Layer:
    """Where in a network the map is taken.

    Attributes:
        place: of the step of `steps` behind which it is.
        layout: how its tensor becomes maps.
        side: places of the map from one side to the other.
    """

    place: int
    layout: Layout
    side: int


class Watched(nn.Module):
    """A network, images to logits, whose tensor behind one step can be watched.

    Attributes:
        watched: the module that this tensor passes, alone.
    """

    def __init__(self, steps: Sequence[nn.Module], place: int, head: nn.Module) -> None:
        super().__init__()
        self.before = nn.Sequential(*steps[: place + 1])
        self.watched = nn.Identity()
        self.after = nn.Sequential(*steps[place + 1 :], head)

    def forward(self, images: Tensor) -> Tensor:  # noqa: D102
        with torch.no_grad():
            boundary = self.before(images)
        # A copy: what follows may change it in place.
        logits: Tensor = self.after(self.watched(boundary.detach().requires_grad_()).clone())
        return logits


@dataclass(frozen=True)
class Margin:
    """What is explained: the logit of a class above the mean of the others', of one image."""

    label: int

    def __call__(self, logits: Tensor) -> Tensor:  # noqa: D102
        others = (logits.sum() - logits[self.label]) / max(1, len(logits) - 1)
        return logits[self.label] - others


class Heatmaps:
    """Says which places of images speak for a class; from then on no weight of the network is trained.

    Args:
        backbone: of stages, which takes images `(N, 3, S, S)`.
        head: features to logits.
        side: S, px.

    Attributes:
        layers: where maps are taken: the last with places enough, then the last with more places, if there is
            such; none where no layer of this network keeps the places of an image.
    """

    def __init__(self, backbone: Any, head: nn.Module, side: int) -> None:
        self._head = head
        self._steps = steps_of(backbone)
        self._device = next(head.parameters()).device
        self._dtype = next(head.parameters()).dtype
        for parameter in (*backbone.parameters(), *head.parameters()):
            parameter.requires_grad_(False)
        self.layers = () if self._steps is None else self._found(side)

    def maps(self, images: Tensor, labels: Sequence[int]) -> NDArray[np.float32]:
        """For each image, how much each place speaks for the class.

        Args:
            images: `(N, 3, S, S)`, preprocessed.
            labels: N classes, by number.

        Returns:
            `(N, S, S)`, from 0 to 1, the most of each image being 1; all 0 where nothing speaks for it.
        """
        maps = [self.maps_at(layer, images, labels) for layer in self.layers]
        both = np.prod(maps, 0) ** (1 / len(maps))
        most = both.max((1, 2), keepdims=True)
        # Where they agree on nothing, the late one is what speaks for the class.
        return np.where(most > 0, both / np.where(most > 0, most, 1), maps[0])

    def maps_at(self, layer: Layer, images: Tensor, labels: Sequence[int]) -> NDArray[np.float32]:
        """As `maps`, of one layer alone."""
        # Imported here: it is slow, and of an extra.
        from pytorch_grad_cam import HiResCAM

        assert self._steps is not None
        model = Watched(self._steps, layer.place, self._head)
        # Not in a `with`, which would swallow an IndexError.
        cam = HiResCAM(model, [model.watched], reshape_transform=layer.layout)
        with torch.enable_grad():
            maps: NDArray[np.float32] = cam(self._given(images), [Margin(label) for label in labels])
        return maps

    def _given(self, images: Tensor) -> Tensor:
        return images.to(self._device, self._dtype)

    def _found(self, side: int) -> tuple[Layer, ...]:
        """Of the layers that are of use the last with places enough, or with most, and the next finer one."""
        late: Layer | None = None
        for layer in self.of_use(side):
            if late is not None and late.side >= ENOUGH:
                return (late, layer) if layer.side <= FINER * late.side else (late,)
            late = layer
        return () if late is None else (late,)

    def of_use(self, side: int) -> Iterator[Layer]:
        """From the last on back, the first of each number of places that is of use, each with more places."""
        most = 0
        for layer in self._layers(side):
            if layer.side > most and self._is_of_use(layer, side):
                most = layer.side
                yield layer

    def _layers(self, side: int) -> Iterator[Layer]:
        """What may be maps, from the last step on back."""
        assert self._steps is not None
        shapes = []
        with torch.no_grad():
            tensor = self._given(torch.zeros(1, 3, side, side))
            for step in self._steps:
                tensor = step(tensor)
                shapes.append(tuple(tensor.shape))
        for place in range(len(shapes) - 1, -1, -1):
            for layout, places in layouts(shapes[place]):
                yield Layer(place, layout, places)

    def _is_of_use(self, layer: Layer, side: int) -> bool:
        """Whether what enters the network at a corner is found at that corner, and the answer hangs on it."""
        assert self._steps is not None
        noise = torch.Generator().manual_seed(0)
        plain = torch.randn(TRIED, 3, side, side, generator=noise)
        model = Watched(self._steps, layer.place, self._head)
        with torch.no_grad():
            before = layer.layout(model.before(self._given(plain)))
            for corner in range(4):
                changed, part = plain.clone(), max(1, side // 4)
                rows = slice(0, part) if corner < 2 else slice(side - part, side)
                columns = slice(0, part) if corner % 2 == 0 else slice(side - part, side)
                changed[..., rows, columns] = 2 * torch.randn(TRIED, 3, part, part, generator=noise)
                moved = (layer.layout(model.before(self._given(changed))) - before).abs().mean((0, 1))
                if not _strongest(moved.float().cpu(), corner):
                    return False
        found: list[Tensor] = []
        handle = model.watched.register_forward_hook(
            lambda _, __, tensor: tensor.register_hook(found.append) and None
        )
        with torch.enable_grad():
            logits = model(self._given(plain))
            (logits * torch.randn(logits.shape, generator=noise).to(logits)).sum().backward()
        handle.remove()
        speaking = layer.layout(found[0]).abs().sum((0, 1)) > 0
        return bool(speaking.float().mean() > SHARE)


def _strongest(moved: Tensor, corner: int) -> bool:
    """Whether the mean of a map `(H, W)` is greatest in the quarter of a corner, counted in rows."""
    half = moved.shape[0] // 2
    ends = (slice(0, half), slice(moved.shape[0] - half, None))
    quarters = [float(moved[rows, columns].mean()) for rows in ends for columns in ends]
    return max(range(4), key=quarters.__getitem__) == corner


def steps_of(backbone: Any) -> list[nn.Module] | None:
    """The modules that a backbone runs one after the other: its stages, those that are a chain opened.

    None where it is no `Backbone` of stages that run apart.
    """
    stages = getattr(backbone, "stages", None)
    if not isinstance(stages, nn.ModuleDict) or not getattr(backbone, "splits", False):
        return None
    steps: list[nn.Module] = []
    for stage in stages.values():
        steps += stage if type(stage) is nn.Sequential else [stage]
    return steps


def layouts(shape: Sequence[int]) -> Iterator[tuple[Layout, int]]:
    """How a tensor of this shape, `(N, …)`, may be maps, and the places that they have a side; 2 at least."""
    if len(shape) == 4:
        _, first, middle, last = shape
        if middle == last > 1:
            yield channels_first, last
        if first == middle > 1:
            yield channels_last, middle
    elif len(shape) == 3 and shape[1] >= 4:
        # The largest square, since a transformer has few tokens that are no patches.
        side = int(shape[1] ** 0.5)
        for places in (side, side - 1):
            if places > 1:
                yield PatchTokens(places), places
