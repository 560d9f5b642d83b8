"""Evaluation sees what the weights were evaluated on, bit for bit; training sees what was asked for."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models
from torchvision.transforms import v2

from graft.data import evaluation_transform, training_transform


@pytest.fixture
def photo():
    stream = np.random.default_rng(0)
    coarse = Image.fromarray(stream.integers(0, 256, (12, 9, 3), dtype=np.uint8))
    return coarse.resize((331, 450), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    "weights",
    [
        models.ResNet18_Weights.IMAGENET1K_V1,
        models.ViT_B_16_Weights.IMAGENET1K_V1,
        models.EfficientNet_B0_Weights.IMAGENET1K_V1,
        models.Swin_T_Weights.IMAGENET1K_V1,
        models.ResNet50_Weights.IMAGENET1K_V2,
    ],
    ids=str,
)
@pytest.mark.parametrize("turned", [False, True])
def test_evaluation_is_torchvisions_to_the_bit(photo, weights, turned):
    preset = weights.transforms()
    preprocessing = SimpleNamespace(
        resize=preset.resize_size[0],
        crop=preset.crop_size[0],
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )
    image = photo.transpose(Image.Transpose.ROTATE_90) if turned else photo
    found = evaluation_transform(preprocessing)(image)
    assert found.dtype == torch.float32
    assert torch.equal(found, preset(image))


def test_training_without_changes_is_evaluation(photo, preprocessing):
    plain = training_transform(preprocessing, crop_scale=None, horizontal_flip=0.0, policy=None)
    assert torch.equal(plain(photo), evaluation_transform(preprocessing)(photo))


def test_each_change_is_made(photo, preprocessing):
    plain = evaluation_transform(preprocessing)(photo)
    flipped = training_transform(preprocessing, None, 1.0, None)(photo)
    assert torch.equal(flipped, plain.flip(-1))
    inverted = training_transform(preprocessing, None, 0.0, v2.RandomInvert(1.0))(photo)
    std, mean = (torch.tensor(values)[:, None, None] for values in (preprocessing.std, preprocessing.mean))
    assert torch.allclose(inverted * std + mean, 1 - (plain * std + mean), atol=1e-6)
    torch.manual_seed(0)
    cropped = training_transform(preprocessing, [0.3, 0.5], 0.0, None)
    first, second = cropped(photo), cropped(photo)
    assert first.shape == second.shape == (3, 16, 16)
    assert not torch.equal(first, second)


def test_a_crops_interpolation_and_scale_reach_torchvision(photo, preprocessing):
    preprocessing.interpolation = "bicubic"
    crop = training_transform(preprocessing, (0.25, 0.75), 0.0, None).transforms[0]
    assert crop.interpolation == v2.InterpolationMode.BICUBIC
    assert tuple(crop.scale) == (0.25, 0.75)
    assert crop.size == (16, 16)


def test_randomness_is_torchs(photo, preprocessing):
    both = training_transform(preprocessing, (0.2, 1.0), 0.5, v2.TrivialAugmentWide())
    before = random.getstate()
    torch.manual_seed(5)
    first = [both(photo) for _ in range(5)]
    torch.manual_seed(5)
    assert all(torch.equal(one, both(photo)) for one in first)
    assert random.getstate() == before
