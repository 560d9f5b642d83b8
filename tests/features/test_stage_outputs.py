"""What a stage gives becomes one value a channel, whichever way its layers lay out channels and places."""

import re

import pytest
import torch
from torch import nn

from graft.backbones import simple_cnn, timm_backbone, torchvision_backbone
from graft.data import evaluation_transform
from graft.errors import GraftError
from graft.features.stage_outputs import each_mean, mean_over_places, shape_after, stop_at


def test_maps_lose_height_and_width() -> None:
    maps = torch.randn(2, 5, 3, 4)
    stage = nn.Sequential(nn.Conv2d(3, 5, 1), nn.ReLU())
    torch.testing.assert_close(mean_over_places(maps, stage), maps.mean((2, 3)))
    # Of a pooling nothing says how many channels there are.
    torch.testing.assert_close(mean_over_places(maps, nn.MaxPool2d(2)), maps.mean((2, 3)))


def test_features_stay_as_they_are() -> None:
    features = torch.randn(2, 7)
    assert torch.equal(mean_over_places(features, nn.Linear(3, 7)), features)


@pytest.mark.parametrize("shape", [(2, 4, 4, 6), (2, 6, 6, 6)])
def test_maps_with_channels_at_the_end_are_known_by_their_last_layer(shape) -> None:
    """Swin's; also where height, width and channels are as many."""
    maps, stage = torch.randn(shape), nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 6))
    torch.testing.assert_close(mean_over_places(maps, stage), maps.mean((1, 2)))


def test_where_all_are_as_many_layers_that_convolve_want_channels_in_front() -> None:
    maps, stage = torch.randn(2, 6, 6, 6), nn.Sequential(nn.Conv2d(6, 6, 1), nn.Linear(6, 6))
    torch.testing.assert_close(mean_over_places(maps, stage), maps.mean((2, 3)))


def test_tokens_lose_their_number() -> None:
    tokens = torch.randn(2, 9, 5)
    torch.testing.assert_close(mean_over_places(tokens, nn.Linear(5, 5)), tokens.mean(1))


def test_padding_counts_in_no_mean() -> None:
    class Masked(nn.Identity):
        masked = True

    tokens = torch.randn(2, 4, 3)
    mask = torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 0]])[..., None]
    means = mean_over_places(torch.cat([tokens, mask], 2), Masked())
    torch.testing.assert_close(means[0], tokens[0, :2].mean(0))
    assert torch.equal(means[1], torch.zeros(3))


NETWORKS = {
    "resnet18": (lambda: torchvision_backbone("resnet18", image_size=32), [64, 64, 128, 256, 512]),
    "swin_t": (lambda: torchvision_backbone("swin_t", image_size=64), [96, 96, 192, 384, 768]),
    "convnext_tiny": (lambda: torchvision_backbone("convnext_tiny", image_size=64), [96, 96, 192, 384, 768]),
    "simple_cnn": (simple_cnn, [6, 16, 120, 84]),
    "vit": (lambda: timm_backbone("vit_tiny_patch16_224", image_size=64), [192] * 14),
    "timm's swin": (
        lambda: timm_backbone("swin_tiny_patch4_window7_224", image_size=224),
        [96, 96, 192, 384, 768],
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_each_stage_of_a_network_gives_its_channels(name) -> None:
    if name in ("vit", "timm's swin"):
        pytest.importorskip("timm")
    make, widths = NETWORKS[name]
    backbone = make().eval()
    blank = evaluation_transform(backbone.preprocessing).blank(1)
    with torch.no_grad():
        means = each_mean(backbone.stages.values(), blank)
        assert [mean.shape[1] for mean in means] == widths
        assert torch.equal(means[-1], backbone(blank))
    assert shape_after(backbone, blank, 1)[0] > 0


def test_a_stage_is_found_by_its_name() -> None:
    backbone = simple_cnn()
    assert [stop_at(backbone, name, "net") for name in ("conv1", "dense2", None)] == [1, 4, 4]
    has = "it has conv1, conv2, dense1, dense2; did you mean conv2?"
    with pytest.raises(GraftError, match=re.escape(f"stage=conv3 is no stage of net; {has}")):
        stop_at(backbone, "conv3", "net")
    with pytest.raises(GraftError, match="it has none"):
        stop_at(nn.Linear(1, 1), "conv3", "net")


def test_stages_that_cannot_run_apart_have_one_that_gives_something() -> None:
    backbone = simple_cnn()
    backbone.splits = False
    assert stop_at(backbone, "dense2", "net") == 4
    with pytest.raises(GraftError, match="stage=conv1: net runs as one block; only dense2 gives something"):
        stop_at(backbone, "conv1", "net")
