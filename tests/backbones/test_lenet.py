"""The LeNet-like network is the tutorial's: its layers, its sizes, its features."""

import pytest
import torch
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
