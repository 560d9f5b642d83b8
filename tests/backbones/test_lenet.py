"""The LeNet-like network is the tutorial's: its layers, its sizes, its features."""

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from graft.backbones import simple_cnn
from graft.errors import GraftError


def by_hand(backbone, images):
    """The tutorial's forward pass, on the backbone's weights."""
    conv1, conv2, fc1, fc2 = [m for m in backbone.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    x = F.max_pool2d(F.relu(conv1(images)), 2)
    x = F.max_pool2d(F.relu(conv2(x)), 2)
    x = F.relu(fc1(torch.flatten(x, 1)))
    return F.relu(fc2(x))


@pytest.mark.parametrize("image_size", [16, 28, 32, 33, 48])
def test_features_equal_the_tutorial_s(image_size):
    backbone = simple_cnn(image_size=image_size)
    images = torch.randn(2, 3, image_size, image_size)
    assert backbone(images).shape == (2, 84) == (2, backbone.width)
    assert torch.equal(backbone(images), by_hand(backbone, images))


def test_average_pooling_is_lenet_s_own():
    torch.manual_seed(0)
    backbone = simple_cnn(pooling="avg")
    conv1, conv2, fc1, fc2 = [m for m in backbone.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    images = torch.randn(2, 3, 32, 32)
    x = F.avg_pool2d(F.relu(conv1(images)), 2)
    x = F.avg_pool2d(F.relu(conv2(x)), 2)
    assert torch.equal(backbone(images), F.relu(fc2(F.relu(fc1(torch.flatten(x, 1))))))
    assert backbone.state_dict().keys() == simple_cnn().state_dict().keys()


@pytest.mark.parametrize(("recorded", "other"), [({"pooling": "avg"}, "max"), ({}, "avg")])
def test_a_bundle_s_pooling_is_kept_to(tmp_path, recorded, other):
    """The weights would fit, and the features would be others; older bundles record none, which was max."""
    own = recorded.get("pooling", "max")
    save_file(simple_cnn(pooling=own).state_dict(), tmp_path / "model.safetensors")
    described = {
        "backbone": {"_target_": "graft.backbones.simple_cnn", **recorded},
        "preprocessing": simple_cnn().preprocessing.to_dict(),
    }
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(described))
    assert simple_cnn(weights=str(tmp_path), pooling=own).width == 84
    with pytest.raises(GraftError, match=rf"was trained with {own}; give backbone.pooling={own}"):
        simple_cnn(weights=str(tmp_path), pooling=other)


def test_sizes_are_the_tutorial_s():
    assert sum(parameter.numel() for parameter in simple_cnn().parameters()) == 62006 - (84 * 10 + 10)


@pytest.mark.parametrize("image_size", [0, 12, 15])
def test_too_small_images_are_refused(image_size):
    with pytest.raises(GraftError, match=f"image_size={image_size} is below 16"):
        simple_cnn(image_size=image_size)


def test_preprocessing_is_what_was_asked_for():
    given = simple_cnn(image_size=28, mean=[0.1, 0.2, 0.3], std=[1, 1, 1]).preprocessing
    assert (given.resize, given.crop, given.mean, given.std) == (28, 28, (0.1, 0.2, 0.3), (1.0, 1.0, 1.0))


def test_default_initialisation_is_pytorch_s():
    torch.manual_seed(0)
    backbone = simple_cnn()
    torch.manual_seed(0)
    assert torch.equal(backbone.stages["conv1"][0].weight, nn.Conv2d(3, 6, 5).weight)
