"""A map says where the evidence stands, whatever layout a network's tensors have."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from graft.backbones import Backbone, Preprocessing, timm_backbone, torchvision_backbone
from graft.serve.heatmaps import Heatmaps, Margin, PatchTokens, channels_first, channels_last, layouts

SIDE = 64
# Top left, top right, bottom left, bottom right.
CORNERS = range(4)


def lit(corner: int) -> Tensor:
    """An image of little noise, bright in a corner: `(1, 3, SIDE, SIDE)`."""
    image = 0.05 * torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(corner))
    rows = slice(0, 16) if corner < 2 else slice(SIDE - 16, SIDE)
    columns = slice(0, 16) if corner % 2 == 0 else slice(SIDE - 16, SIDE)
    image[..., rows, columns] += 3
    return image


def quarter_of_the_most(strength: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> int:
    row, column = np.unravel_index(int(strength.argmax()), strength.shape)
    return 2 * int(row >= SIDE // 2) + int(column >= SIDE // 2)


class Grid(nn.Module):
    """Images to the mean brightness of each patch, so many pixels a side, in a layout."""

    def __init__(self, layout: str, patch: int = 8) -> None:
        super().__init__()
        self.layout, self.patch = layout, patch
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self, images: Tensor) -> Tensor:
        bright = nn.functional.avg_pool2d(images.mean(1, keepdim=True), self.patch)
        maps = torch.cat([bright.relu(), (1 - bright).relu()], 1) * self.scale[:, None, None]
        if self.layout == "last":
            return maps.permute(0, 2, 3, 1)
        if self.layout == "tokens":
            tokens = maps.flatten(2).transpose(1, 2)
            return torch.cat([tokens.mean(1, keepdim=True), torch.zeros_like(tokens[:, :4]), tokens], 1)
        return maps


class Pooled(nn.Module):
    """Maps of a layout to their mean `(N, 2)`."""

    def __init__(self, layout: str) -> None:
        super().__init__()
        self.over = {"first": (2, 3), "last": (1, 2), "tokens": (1,)}[layout]

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean(self.over)


def bright_or_dark(layout: str) -> Heatmaps:
    """A network that by construction says `bright` for what is bright somewhere."""
    stages = {"grid": Grid(layout), "pooled": Pooled(layout)}
    head = nn.Linear(2, 2)
    head.weight.data = torch.eye(2)
    head.bias.data.zero_()
    return Heatmaps(Backbone(stages, 2, Preprocessing(SIDE, SIDE)), head, SIDE)


@pytest.mark.parametrize("layout", ["first", "last", "tokens"])
def test_the_most_is_where_the_evidence_stands(layout: str) -> None:
    heatmaps = bright_or_dark(layout)
    assert [layer.side for layer in heatmaps.layers] == [8]
    for corner in CORNERS:
        (strength,) = heatmaps.maps(lit(corner), [0])
        assert strength.shape == (SIDE, SIDE)
        assert quarter_of_the_most(strength) == corner
        # What speaks for `dark` is everywhere else.
        (against,) = heatmaps.maps(lit(corner), [1])
        assert against[strength > 0.9].max() < 0.2
        assert against[strength < 0.1].mean() > 0.8


def test_a_thing_smaller_than_a_late_layers_place_is_found_where_it_lies() -> None:
    """The late layer's brightest point is the middle of its place, where the thing need not be."""
    stages = {"fine": Grid("first", 4), "late": nn.AvgPool2d(4), "pooled": Pooled("first")}
    head = nn.Linear(2, 2, bias=False)
    head.weight.data = torch.diag(torch.tensor([1.0, 0.0]))
    heatmaps = Heatmaps(Backbone(stages, 2, Preprocessing(SIDE, SIDE)), head, SIDE)
    assert [layer.side for layer in heatmaps.layers] == [SIDE // 16, SIDE // 4]
    image = torch.zeros(1, 3, SIDE, SIDE)
    image[..., 16:20, 16:20] = 1
    late, fine = (heatmaps.maps_at(layer, image, [0])[0] for layer in heatmaps.layers)
    (strength,) = heatmaps.maps(image, [0])
    assert not lies_within(late, 16, 20)
    assert lies_within(strength, 16, 20)
    np.testing.assert_allclose(strength, np.sqrt(late * fine) / np.sqrt(late * fine).max(), atol=1e-6)


def lies_within(strength: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]", start: int, end: int) -> bool:
    """Whether the most of a map lies in a square on the diagonal."""
    return all(start <= place < end for place in np.unravel_index(int(strength.argmax()), strength.shape))


def test_where_two_layers_agree_on_nothing_the_late_one_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    heatmaps = bright_or_dark("first")
    late, fine = np.zeros((2, 1, 4, 4), np.float32)
    late[0, 0, 0] = fine[0, 3, 3] = 1
    found = {"late": late, "fine": fine}
    heatmaps.layers = ("late", "fine")
    monkeypatch.setattr(heatmaps, "maps_at", lambda layer, images, labels: found[layer])
    assert np.array_equal(heatmaps.maps(lit(0), [0]), late)


def test_a_head_that_knows_places_is_asked_place_by_place() -> None:
    # Of two lit corners one speaks for the class, one against it; the mean of gradients knows no corner.
    stages = {"grid": Grid("first"), "flat": nn.Flatten()}
    head = nn.Linear(128, 2, bias=False)
    head.weight.data.zero_()
    head.weight.data[0, :64] = -0.1
    head.weight.data[0, 36:64] = 1
    heatmaps = Heatmaps(Backbone(stages, 128, Preprocessing(SIDE, SIDE)), head, SIDE)
    (strength,) = heatmaps.maps(lit(0) + lit(3), [0])
    assert quarter_of_the_most(strength) == 3
    assert strength[:16, :16].max() == 0


def test_where_nothing_speaks_for_a_class_the_map_is_empty() -> None:
    (strength,) = bright_or_dark("first").maps(torch.full((1, 3, SIDE, SIDE), -5.0), [0])
    assert not strength.any()


NETWORKS: dict[str, Callable[[], Backbone]] = {
    "resnet18": lambda: torchvision_backbone("resnet18", weights=None),
    "swin": lambda: timm_backbone("swin_tiny_patch4_window7_224", weights=None, image_size=SIDE),
    "vit": lambda: timm_backbone("vit_tiny_patch16_224", weights=None, image_size=SIDE),
    "deit": lambda: timm_backbone("deit_tiny_distilled_patch16_224", weights=None, image_size=SIDE),
}
LAYOUTS = {
    "resnet18": channels_first,
    "swin": channels_last,
    "vit": PatchTokens(4),
    "deit": PatchTokens(4),
}


@pytest.mark.parametrize("name", ["resnet18", "vit"])
def test_networks_of_new_weights(name: str) -> None:
    check_network(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["swin", "deit"])
def test_further_networks_of_new_weights(name: str) -> None:
    check_network(name)


def check_network(name: str) -> None:
    """Fail unless the layer, the shape, the range and the place of its maps are right."""
    torch.manual_seed(0)
    backbone = NETWORKS[name]().eval()
    head = nn.Linear(backbone.width, 3)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    heatmaps = Heatmaps(backbone, head, SIDE)
    assert [layer.layout for layer in heatmaps.layers] == [LAYOUTS[name]] * len(heatmaps.layers)
    assert [layer.side for layer in heatmaps.layers] == ([4] if "vit" in name or name == "deit" else [4, 8])
    images = torch.cat([lit(corner) for corner in CORNERS])
    strengths = heatmaps.maps(images, [0, 1, 2, 0])
    assert strengths.shape == (4, SIDE, SIDE)
    assert strengths.min() == 0
    assert strengths.max(axis=(1, 2)) == pytest.approx(1, abs=0.1)
    # Nothing of the network is changed, and nothing of it would be trained.
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())
    assert not [parameter for parameter in backbone.parameters() if parameter.grad is not None]
    late = heatmaps.maps_at(heatmaps.layers[0], images, [0, 1, 2, 0])
    for image, label, strength in zip(images, [0, 1, 2, 0], late, strict=True):
        expected = by_hand(backbone, head, image[None], label, PLACES_OF[name])
        most = np.unravel_index(int(expected.argmax()), (4, 4))
        centre = strength[most[0] * 16 + 7 : most[0] * 16 + 9, most[1] * 16 + 7 : most[1] * 16 + 9]
        assert centre.max() > 0.8


# The stages that end where the map is taken, and how their tensor becomes a list of 16 places, row by row.
PLACES_OF: dict[str, tuple[int, Callable[[Tensor], Tensor]]] = {
    # Its last but one: its last has 2 x 2 places of such small images.
    "resnet18": (4, lambda maps: maps[0].flatten(1).T),
    "swin": (4, lambda maps: maps[0].flatten(0, 1)),
    "vit": (12, lambda tokens: tokens[0, 1:]),
    "deit": (12, lambda tokens: tokens[0, 2:]),
}


def by_hand(
    backbone: Backbone,
    head: nn.Module,
    image: Tensor,
    label: int,
    places_of: tuple[int, Callable[[Tensor], Tensor]],
) -> Tensor:
    """What each of 16 places adds to a class's lead, by the chain rule and the stages alone."""
    stop, places = places_of
    with torch.no_grad():
        boundary = backbone(image, stop=stop)
    boundary.requires_grad_()
    logits = head(backbone(boundary, start=stop))[0]
    lead = logits[label] - (logits.sum() - logits[label]) / 2
    (slope,) = torch.autograd.grad(lead, boundary)
    return (places(boundary) * places(slope)).sum(1).detach()


def test_a_network_that_keeps_no_places_has_no_maps() -> None:
    class Mixed(nn.Module):
        """Places in an order of their own."""

        def forward(self, maps: Tensor) -> Tensor:
            order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
            return maps.flatten(2)[..., order].unflatten(2, (8, 8))

    stages = {"grid": nn.Sequential(Grid("first"), Mixed()), "pooled": Pooled("first")}
    # A stage of a class of its own is not opened.
    stages["grid"] = Whole(stages["grid"])
    heatmaps = Heatmaps(Backbone(stages, 2, Preprocessing(SIDE, SIDE)), nn.Linear(2, 2), SIDE)
    assert not heatmaps.layers


class Whole(nn.Module):
    """A module that is run as one."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, given: Tensor) -> Tensor:
        return self.inner(given)  # type: ignore[no-any-return]


def test_the_layouts_that_a_shape_may_have() -> None:
    assert list(layouts((2, 512, 7, 7))) == [(channels_first, 7)]
    assert list(layouts((2, 7, 7, 512))) == [(channels_last, 7)]
    assert list(layouts((2, 201, 384))) == [(PatchTokens(14), 14), (PatchTokens(13), 13)]
    assert list(layouts((2, 512))) == list(layouts((2, 512, 1, 1))) == []
    tokens = torch.arange(10.0)[None, :, None]
    assert PatchTokens(3)(tokens)[0, 0].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_what_is_explained_is_the_lead_over_the_others() -> None:
    assert float(Margin(1)(torch.tensor([1.0, 5.0, 3.0]))) == 3.0
