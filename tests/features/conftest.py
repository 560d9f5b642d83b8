"""Small images, a small backbone and the features of the ones by the other."""

import numpy as np
import pytest
import torch
from torch import nn

from graft.backbones import Backbone, Preprocessing
from graft.data import array_images, evaluation_transform
from graft.features.sample_features import SampleFeatures
from graft.features.store import FeatureStore


def tiny(seed=0, width=6, stride=2, size=16, mean=0.5):
    torch.manual_seed(seed)
    stages = {
        "stem": nn.Sequential(nn.Conv2d(3, 4, 3, stride=stride), nn.BatchNorm2d(4), nn.ReLU()),
        "body": nn.Sequential(nn.Conv2d(4, 5, 3), nn.Dropout(0.5)),
        "top": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, width)),
    }
    preprocessing = Preprocessing(resize=size, crop=size, mean=(mean,) * 3)
    return Backbone(stages, width=width, preprocessing=preprocessing)


def noise(count=7, seed=0, size=12):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return array_images([f"noise/{i}" for i in range(count)], [i % 3 for i in range(count)], pixels)


@pytest.fixture
def backbone():
    return tiny


@pytest.fixture
def images():
    return noise


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path / "features", 10**9)


@pytest.fixture
def features(store):
    """Make the features of images; `calls` lists how many images each computation was about."""

    def make(net=None, data=None, transform=None, how=None, batch_size=4, into=None, **settings):
        net = tiny() if net is None else net
        calls = []

        def run(images, stop):
            calls.append(len(images))
            return net(images, stop=stop)

        made = SampleFeatures(
            store if into is None else into,
            net,
            noise() if data is None else data,
            transform or evaluation_transform(net.preprocessing),
            run,
            how or {"device": "cpu", "precision": "32-true"},
            label="tiny",
            batch_size=batch_size,
            num_workers=0,
            **settings,
        )
        object.__setattr__(made, "calls", calls)
        return made

    return make
