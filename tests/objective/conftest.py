"""A backbone with BatchNorm, and a head, that the tests of `graft.objective` share."""

import pytest
import torch
from torch import nn

from graft.backbones import Backbone, Preprocessing


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    stages = {
        "stem": nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU()),
        "top": nn.Sequential(nn.Conv2d(4, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    }
    return Backbone(stages, width=6, preprocessing=Preprocessing(resize=16, crop=16))


@pytest.fixture
def head():
    torch.manual_seed(1)
    return nn.Linear(6, 3)


@pytest.fixture
def images():
    return torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def labels():
    return torch.tensor([0, 2, 1, 1, 0])
