"""Every carved torchvision model is torchvision's own model without its last layer, wherever it is split."""

from pathlib import Path

import pytest
import torch
import yaml
from torch import nn
from torchvision import models

from graft.backbones import load_weights, source_network, supported_names, torchvision_backbone
from graft.backbones.torchvision_stages import FAMILIES, Rescaled

CONF = Path(__file__).parents[2] / "conf" / "backbone"
NODES = [yaml.safe_load(path.read_text()) for path in CONF.glob("*.yaml")]
IN_CONF = sorted(
    node["name"]
    for node in NODES
    if node["_target_"] == "graft.backbones.torchvision_backbone" and node["name"] != "???"
)
# One small variant of each family that has no file in conf/.
SMALL = ["alexnet", "efficientnet_v2_s", "maxvit_t", "mnasnet0_5", "mobilenet_v2", "regnet_y_400mf"]
SMALL += ["shufflenet_v2_x0_5", "swin_v2_t"]
# Gigabytes; the same code as their smaller sisters'.
GIANTS = {"convnext_large", "regnet_y_128gf", "vit_h_14", "vit_l_16", "vit_l_32"}
# Half a gigabyte of last layers, and 86 million parameters at 224 px.
LARGE = ["vgg16", "vit_b_16"]
OTHERS = [name for name in supported_names() if name not in {*IN_CONF, *SMALL, *GIANTS}]
FIXED = ("vit", "maxvit")
# As torchvision builds them for the published weights.
AS_PUBLISHED = {"transform_input": True, "init_weights": False, "aux_logits": True}
INCEPTIONS = {"googlenet": {"aux1", "aux2"}, "inception_v3": {"AuxLogits"}}


def image_size(name):
    # Inception v3 takes 75 px and more.
    return 224 if name.startswith(FIXED) else 80 if name in INCEPTIONS else 64


def last_layer(model):
    """Name and module of the classifier: the last linear layer; SqueezeNet has a last convolution."""
    kind = nn.Conv2d if isinstance(model, models.SqueezeNet) else nn.Linear
    return [(name, module) for name, module in model.named_modules() if isinstance(module, kind)][-1]


@torch.no_grad()
def randomise_norms(model):
    """A fresh BatchNorm computes nothing that a wrong order or a lost buffer would change."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                tensor.uniform_(0.8, 1.2)
            for tensor in (module.bias, module.running_mean):
                tensor.uniform_(-0.1, 0.1)


class Pair:
    """torchvision's model, and the backbone that loaded its state dict from a file."""

    def __init__(self, name, folder):
        torch.manual_seed(0)
        self.model = models.get_model(name, **(AS_PUBLISHED if name in INCEPTIONS else {})).eval()
        randomise_norms(self.model)
        self.last_name, self.last = last_layer(self.model)
        # Some families begin with a last layer, or a bias, of zeros.
        for tensor in self.last.parameters():
            nn.init.normal_(tensor, std=0.1)
        file = folder / f"{name}.pth"
        torch.save(self.model.state_dict(), file)
        self.backbone = torchvision_backbone(name).eval()
        self.loaded = load_weights(self.backbone, file)
        file.unlink()
        self.images = torch.rand(1, 3, image_size(name), image_size(name)) * 4 - 2

    @torch.no_grad()
    def expected(self):
        entered = []
        hook = self.last.register_forward_pre_hook(lambda _, arguments: entered.append(arguments[0]))
        self.model(self.images)
        hook.remove()
        return entered[0].mean((2, 3)) if isinstance(self.last, nn.Conv2d) else entered[0]


@pytest.fixture(
    scope="module",
    params=[
        *(name for name in [*IN_CONF, *SMALL] if name not in LARGE),
        *(pytest.param(name, marks=pytest.mark.slow) for name in [*LARGE, *OTHERS]),
    ],
)
def pair(request, tmp_path_factory):
    return Pair(request.param, tmp_path_factory.mktemp("weights"))


def test_every_tensor_but_the_last_layer_s_stands_in_one_stage(pair):
    state = pair.model.state_dict()
    last = {key for key in state if key.startswith(f"{pair.last_name}.")}
    # For torchvision's own training alone.
    auxiliary = {key for key in state if key.lower().startswith("aux")}
    assert last
    assert set(pair.backbone.source_names) == set(state) - last - auxiliary
    assert sorted(pair.backbone.source_names.values()) == sorted(pair.backbone.state_dict())
    assert sorted(pair.loaded) == sorted(pair.backbone.source_names)
    assert all(key.startswith(f"{pair.backbone.dropped[0]}.") for key in last)


def test_features_are_what_enters_torchvision_s_last_layer(pair):
    with torch.no_grad():
        features = pair.backbone(pair.images)
    assert features.shape == (1, pair.backbone.width)
    assert features.isfinite().all()
    assert features.std() > 0
    assert torch.equal(features, pair.expected())


@torch.no_grad()
def test_the_source_s_logits_are_torchvision_s_own_to_the_bit(pair):
    expected = pair.model(pair.images)
    # What passes a ReLU behind the last layer must differ from what does not.
    assert expected.std() > 0.01
    network = source_network(pair.backbone, pair.backbone.source_head).eval()
    assert network.width == expected.shape[1]
    assert torch.equal(network(pair.images), expected)
    if not pair.backbone.source_head.replaces:
        assert torch.equal(pair.backbone.source_head.layers(pair.backbone(pair.images)), expected)


@torch.no_grad()
def test_every_split_gives_the_same_bits_and_leaves_the_boundary_alone(pair):
    features = pair.backbone(pair.images)
    boundary = pair.images
    for k in range(len(pair.backbone) + 1):
        kept = boundary.clone()
        assert torch.equal(pair.backbone(boundary, start=k), features)
        assert torch.equal(boundary, kept)
        boundary = pair.backbone(boundary, start=k, stop=k + 1)
    assert torch.equal(boundary, features)


def test_every_stage_has_something_to_train(pair):
    for stage in pair.backbone.stages.values():
        assert any(parameter.requires_grad for parameter in stage.parameters())


def test_nothing_is_held_but_the_stages(pair):
    assert {key.split(".")[0] for key in pair.backbone.state_dict()} == {"stages"}


@pytest.mark.parametrize(("name", "heads"), INCEPTIONS.items())
@pytest.mark.parametrize("saved_with", [True, False])
def test_auxiliary_heads_are_in_a_weights_file_or_not_and_never_in_the_backbone(
    name, heads, saved_with, tmp_path
):
    model = models.get_model(name, **AS_PUBLISHED | {"aux_logits": saved_with})
    assert {key.split(".")[0] for key in model.state_dict() if key.lower().startswith("aux")} == (
        heads if saved_with else set()
    )
    torch.save({f"net.{key}": value for key, value in model.state_dict().items()}, tmp_path / "a.pth")
    backbone = torchvision_backbone(name, weights=str(tmp_path / "a.pth"))
    own = {key: value for key, value in model.named_parameters() if key.split(".")[0] not in {*heads, "fc"}}
    assert sum(p.numel() for p in backbone.parameters()) == sum(p.numel() for p in own.values())
    state = backbone.state_dict()
    assert all(torch.equal(state[backbone.source_names[key]], value) for key, value in own.items())
    assert torch.equal(backbone.source_head.layers.weight, model.fc.weight)


@pytest.mark.parametrize("name", INCEPTIONS)
def test_rescaled_is_torchvision_s_own_to_the_bit(name):
    with torch.device("meta"):
        model = models.get_model(name, **AS_PUBLISHED)
    images = torch.randn(2, 3, 9, 7, generator=torch.Generator().manual_seed(0)) * 3
    kept = images.clone()
    found = Rescaled()(images)
    assert torch.equal(found, model._transform_input(images))
    assert torch.equal(images, kept)
    assert not torch.equal(found, images)


# RegNet computes its widths with tensors, which have no values on the meta device.
@pytest.mark.parametrize("name", [name for name in supported_names() if not name.startswith("regnet")])
@pytest.mark.slow
def test_every_supported_name_carves_at_its_own_size(name):
    with torch.device("meta"):
        backbone = torchvision_backbone(name).eval()
        size = backbone.preprocessing.crop
        assert backbone(torch.empty(2, 3, size, size)).shape == (2, backbone.width)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("resnet18", "stem layer1 layer2 layer3 layer4"),
        ("vgg16", "block1 block2 block3 block4 block5 dense"),
        ("squeezenet1_0", "stem block1 block2 block3"),
        ("densenet121", "stem block1 block2 block3 block4"),
        ("convnext_tiny", "stem stage1 stage2 stage3 stage4"),
        ("googlenet", "stem block3 block4 block5"),
        ("inception_v3", "stem mixed5 mixed6 mixed7"),
        ("vit_b_32", f"patches {' '.join(f'block{number}' for number in range(1, 13))} norm"),
        ("mobilenet_v3_small", f"stem {' '.join(f'block{number}' for number in range(1, 12))} conv dense"),
    ],
)
def test_stage_names(name, stages):
    with torch.device("meta"):
        assert torchvision_backbone(name).stage_names == stages.split()


def test_stages_are_torchvision_s_groups():
    """Every boundary of these networks is where the spatial size changes, pooling included."""
    with torch.device("meta"):
        for name, sizes in {
            "vgg16": [32, 16, 8, 4, 2],
            "squeezenet1_0": [14, 7, 3],
            "densenet121": [16, 8, 4, 2],
        }.items():
            backbone, boundary, found = torchvision_backbone(name), torch.empty(1, 3, 64, 64), []
            for k in range(len(backbone) - 1):
                boundary = backbone(boundary, start=k, stop=k + 1)
                found.append(boundary.shape[-1])
            assert found == sizes


def test_fast_names_cover_every_family():
    covered = {models.get_model_builder(name).__module__.rpartition(".")[2] for name in IN_CONF + SMALL}
    assert covered == set(FAMILIES)
