"""What `torchvision_backbone` takes and refuses: names, weights and image sizes."""

from urllib.error import URLError

import pytest
import torch
from torchvision import models
from torchvision.ops import StochasticDepth

from graft.backbones import supported_names, torchvision_backbone
from graft.backbones.torchvision import preprocessing_of
from graft.errors import GraftError
from graft.freezing.apply import apply
from graft.freezing.strategies import Frozen


def entries():
    return [entry for name in supported_names() for entry in models.get_model_weights(name)]


def test_preprocessing_is_that_of_every_weights_entry():
    for entry in entries():
        theirs, ours = entry.transforms(), preprocessing_of(entry)
        assert (theirs.resize_size, theirs.crop_size) == ([ours.resize], [ours.crop])
        assert theirs.interpolation.value == ours.interpolation
        assert (theirs.mean, theirs.std) == (list(ours.mean), list(ours.std))
        assert theirs.antialias


def test_image_size_scales_the_preprocessing():
    backbone = torchvision_backbone("mobilenet_v3_small", image_size=96)
    assert (backbone.preprocessing.resize, backbone.preprocessing.crop) == (110, 96)


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("vit_b_32", 96, "image_size=96: vit_b_32 takes 224 only"),
        ("maxvit_t", 96, "image_size=96: maxvit_t takes 224 only"),
        ("alexnet", 62, "image_size=62 is below 63"),
        ("inception_v3", 74, "image_size=74 is below 75"),
        ("resnet18", 0, "image_size=0"),
    ],
)
def test_image_sizes_that_cannot_work_are_refused(name, size, message):
    with pytest.raises(GraftError, match=message):
        torchvision_backbone(name, image_size=size)


@pytest.mark.parametrize(
    ("name", "size"), [("swin_t", 64), ("alexnet", 63), ("inception_v3", 75), ("vit_b_32", 224)]
)
def test_image_sizes_that_work_are_taken(name, size):
    with torch.device("meta"):
        backbone = torchvision_backbone(name, image_size=size).eval()
        assert backbone(torch.empty(1, 3, size, size)).shape == (1, backbone.width)


def test_a_vision_transformer_says_which_images_it_takes():
    with torch.device("meta"):
        backbone = torchvision_backbone("vit_b_32")
        with pytest.raises(GraftError, match="takes 224 x 224 images, not 96 x 224"):
            backbone(torch.empty(1, 3, 96, 224))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet81", "backbone.name=resnet81 .*did you mean resnet18"),
        ("fcn_resnet50", "backbone.name=fcn_resnet50 is a network for segmentation"),
    ],
)
def test_unknown_names_are_answered(name, message):
    with pytest.raises(GraftError, match=message):
        torchvision_backbone(name)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("DEFAULT", "DEFAULT is refused.*name one of IMAGENET1K_V1, IMAGENET1K_V2"),
        ("IMAGENET1K_V9", "IMAGENET1K_V9 is no file, and resnet50 has IMAGENET1K_V1, IMAGENET1K_V2"),
        ("somewhere/else", "no such file"),
        ("missing.pth", "there is no such file"),
    ],
)
def test_unknown_weights_are_answered(weights, message):
    with pytest.raises(GraftError, match=message):
        torchvision_backbone("resnet50", weights=weights)


@pytest.mark.parametrize(
    "failure",
    [
        URLError("Name or service not known"),
        TimeoutError("timed out\nsecond line"),
        RuntimeError('invalid hash value (expected "f37072fd", got "0")'),
        PermissionError("read-only"),
    ],
)
def test_a_failed_download_says_what_to_do(monkeypatch, failure):
    def fails(*arguments, **options):
        raise failure

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fails)
    with pytest.raises(GraftError) as caught:
        torchvision_backbone("resnet18", weights="IMAGENET1K_V1")
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "backbone.weights=IMAGENET1K_V1",
        "resnet18",
        "could not be fetched",
        "backbone.weights=<file>",
    ):
        assert part in message
    assert "backbone.weights=null" in message
    assert "resnet18-f37072fd.pth" in message


def downloads(monkeypatch, state):
    """Let a download give `state`; returns the list of what it was asked for."""
    asked = []

    def gives(url, *arguments, **options):
        asked.append((url, options))
        return state

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", gives)
    return asked


def test_named_weights_are_loaded_safely_with_their_own_preprocessing(monkeypatch):
    model = models.mobilenet_v3_large()
    asked = downloads(monkeypatch, model.state_dict())
    backbone = torchvision_backbone("mobilenet_v3_large", weights="IMAGENET1K_V2")
    own = backbone.state_dict()
    assert all(torch.equal(own[ours], model.state_dict()[key]) for key, ours in backbone.source_names.items())
    assert backbone.preprocessing.resize == 232
    ((url, options),) = asked
    assert url == models.MobileNet_V3_Large_Weights.IMAGENET1K_V2.url
    assert options["check_hash"]
    assert options["weights_only"]


def test_a_vision_transformer_is_built_at_its_weights_size(monkeypatch):
    with torch.device("meta"):
        state = models.vit_b_16(image_size=384).state_dict()
    downloads(monkeypatch, {key: torch.zeros(value.shape) for key, value in state.items()})
    backbone = torchvision_backbone("vit_b_16", weights="IMAGENET1K_SWAG_E2E_V1")
    assert backbone.stages["patches"].image_size == backbone.preprocessing.crop == 384


def rates(backbone):
    return [module.p for module in backbone.modules() if isinstance(module, StochasticDepth)]


@pytest.mark.parametrize("name", ["efficientnet_b0", "convnext_tiny", "swin_t", "maxvit_t"])
def test_drop_path_scales_every_blocks_rate_up_to_the_last_ones(name):
    with torch.device("meta"):
        own, changed, none = (rates(torchvision_backbone(name, drop_path=p)) for p in (None, 0.35, 0.0))
    assert changed[-1] == max(changed) == pytest.approx(0.35)
    assert changed == pytest.approx([p * 0.35 / own[-1] for p in own])
    assert changed == sorted(changed)
    assert not any(none)


def test_drop_path_drops_in_training_alone():
    torch.manual_seed(0)
    backbone = torchvision_backbone("efficientnet_b0", image_size=32, drop_path=0.9)
    images = torch.randn(1, 3, 32, 32)
    block = backbone.stages["block3"]
    with torch.no_grad():
        boundary = backbone.eval()(images, stop=3)
        # Statistics stand still, so that nothing but dropped paths can differ.
        for module in block.modules():
            module.train(isinstance(module, StochasticDepth))
        assert len({float(block(boundary).sum()) for _ in range(20)}) > 1
        apply(Frozen(), backbone.train().stages, 0)
        assert len({float(backbone(images).sum()) for _ in range(5)}) == 1


def test_drop_path_needs_stochastic_depth():
    with pytest.raises(GraftError, match=r"^backbone\.drop_path=0\.1: alexnet has no stochastic depth"):
        torchvision_backbone("alexnet", drop_path=0.1)


def test_every_classifier_of_torchvision_s_is_supported():
    assert supported_names() == models.list_models(module=models)
