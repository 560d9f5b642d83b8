"""Evaluation sees what the weights were evaluated on, bit for bit; training sees what was asked for."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models
from torchvision.transforms import v2

from graft.backbones import Preprocessing
from graft.backbones.timm import timm_preprocessing
from graft.data import evaluation_transform, training_transform
from graft.data.crops import DRAWS, random_resized_boxes
from graft.data.randomness import uniforms
from graft.errors import GraftError


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
    preprocessing = Preprocessing(
        resize=preset.resize_size[0],
        crop=preset.crop_size[0],
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        squash=False,
    )
    image = photo.transpose(Image.Transpose.ROTATE_90) if turned else photo
    found = evaluation_transform(preprocessing)(image)
    assert found.dtype == torch.float32
    assert torch.equal(found, preset(image))


# As weights of timm's have them: which sides are resized, how, to how much more than the crop.
TIMM = {
    "centre, bicubic": {"crop_mode": "center", "interpolation": "bicubic", "crop_pct": 0.95},
    "centre, to the crop": {"crop_mode": "center", "interpolation": "bicubic", "crop_pct": 1.0},
    "centre, bilinear": {"crop_mode": "center", "interpolation": "bilinear", "crop_pct": 0.887},
    "squash": {"crop_mode": "squash", "interpolation": "bicubic", "crop_pct": 1.0},
    "squash, then cut": {"crop_mode": "squash", "interpolation": "bicubic", "crop_pct": 0.95},
    "squash, bilinear": {"crop_mode": "squash", "interpolation": "bilinear", "crop_pct": 1.0},
}


@pytest.mark.parametrize("settings", TIMM.values(), ids=TIMM)
@pytest.mark.parametrize("size", [(64, 64), (331, 450), (450, 331), (97, 30), (31, 120), (5, 9), (3, 7)])
def test_evaluation_is_timms_to_the_bit(settings, size):
    timm = pytest.importorskip("timm")
    overlay = {**settings, "input_size": (3, 72, 72), "mean": (0.48, 0.46, 0.41), "std": (0.27, 0.26, 0.28)}
    model = timm.create_model("test_resnet", pretrained_cfg_overlay=overlay)
    theirs = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    stream = np.random.default_rng(sum(size))
    image = Image.fromarray(stream.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    found = evaluation_transform(timm_preprocessing(timm, model, ""))(image)
    assert found.shape == (3, 72, 72)
    assert torch.equal(found, theirs(image))


@pytest.mark.parametrize("size", [(64, 64), (90, 31), (4, 900)])
def test_squashed_and_then_changed(size):
    """Crops at random are cut from the image as it is; those of a padded one from the squashed."""
    preprocessing = Preprocessing(20, 16, squash=True)
    stream = np.random.default_rng(0)
    image = Image.fromarray(stream.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    plain = evaluation_transform(preprocessing)
    assert plain.prepare(image).shape == (20, 20, 3)
    unchanged = training_transform(preprocessing, None, 0.0, None)
    assert torch.equal(unchanged(image), plain(image))
    cropped = training_transform(preprocessing, [0.5, 1.0], 0.0, None)
    assert cropped.prepare(image).shape == (size[1], size[0], 3)
    other = evaluation_transform(replace(preprocessing, squash=False))
    assert torch.equal(plain(image), other(image)) == (size[0] == size[1])
    assert plain.form != other.form


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
    cropped = training_transform(preprocessing, [0.3, 0.5], 0.0, None)
    first, second = cropped(photo, epoch=0), cropped(photo, epoch=1)
    assert first.shape == second.shape == (3, 16, 16)
    assert not torch.equal(first, second)


def pixels_of(found, preprocessing):
    """`(3, H, W)` normalised, back to levels from 0 to 255."""
    std, mean = (torch.tensor(values)[:, None, None] for values in (preprocessing.std, preprocessing.mean))
    return ((found * std + mean) * 255).round()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_a_random_crop_is_pillows_within_rounding(photo, preprocessing, interpolation):
    preprocessing = replace(preprocessing, interpolation=interpolation)
    transform = training_transform(preprocessing, (0.25, 0.75), 0.0, None)
    key = (np.array([3]), np.array([7]))
    sizes = np.array([[photo.height, photo.width]])
    boxes = random_resized_boxes(sizes, (0.25, 0.75), uniforms(5, *key, 1 + DRAWS)[:, 1:])
    top, left, height, width = boxes[0].tolist()
    cut = photo.crop((left, top, left + width, top + height))
    way = Image.Resampling[interpolation.upper()]
    expected = torch.from_numpy(np.array(cut.resize((16, 16), way))).permute(2, 0, 1)
    found = pixels_of(transform(photo, seed=5, epoch=3, index=7), preprocessing)
    assert (found - expected).abs().max() <= (0 if interpolation == "lanczos" else 1)


def test_a_padded_crop_is_a_square_of_the_padded_image(preprocessing):
    stream = np.random.default_rng(0)
    small = Image.fromarray(stream.integers(1, 256, (20, 20, 3), dtype=np.uint8))
    padded = torch.nn.functional.pad(torch.from_numpy(np.array(small)).permute(2, 0, 1), (4, 4, 4, 4)).float()
    transform = training_transform(preprocessing, None, 0.0, None, crop_padding=4)
    windows = padded.unfold(1, 16, 1).unfold(2, 16, 1)
    corners = set()
    for index in range(600):
        found = pixels_of(transform(small, index=index), preprocessing)
        at = (windows == found[:, None, None]).all(-1).all(-1).all(0).nonzero().tolist()
        assert len(at) == 1
        corners.add(tuple(at[0]))
    # 13 x 13 places, each drawn 3.6 times on average.
    assert {row for row, _ in corners} == {column for _, column in corners} == set(range(13))


def test_two_ways_to_crop_are_refused(preprocessing):
    with pytest.raises(GraftError, match=r"crop_scale and augment\.crop_padding are two ways to crop"):
        training_transform(preprocessing, (0.5, 1.0), 0.5, None, crop_padding=0)


@pytest.mark.parametrize("policy", [None, v2.TrivialAugmentWide()])
def test_draws_are_those_of_seed_epoch_and_index_alone(photo, preprocessing, policy):
    transform = training_transform(preprocessing, (0.2, 1.0), 0.5, policy)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    pixels = transform.prepare(photo)
    indices = np.arange(12)
    batch = transform.finish([pixels] * 12, 5, np.full(12, 2), indices)
    for index in (11, 0, 5):
        assert torch.equal(batch[index], transform(photo, seed=5, epoch=2, index=index))
    others = [transform(photo, seed=6, epoch=2), transform(photo, seed=5, epoch=3), batch[1]]
    assert all(not torch.equal(batch[0], other) for other in others)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]
    assert random.getstate() == states[2]


def test_half_are_mirrored(photo, preprocessing):
    transform = training_transform(preprocessing, None, 0.5, None)
    plain = evaluation_transform(preprocessing)(photo)
    found = transform.finish([transform.prepare(photo)] * 400, 0, np.zeros(400, np.int64), np.arange(400))
    mirrored = [torch.equal(image, plain.flip(-1)) for image in found]
    assert all(torch.equal(image, plain) for image, turned in zip(found, mirrored, strict=True) if not turned)
    # Four standard deviations either way.
    assert 160 < sum(mirrored) < 240


def test_crops_from_a_shrunk_image_are_those_of_the_whole_but_for_blur(photo, preprocessing):
    preprocessing = replace(preprocessing, resize=256, crop=64)
    whole = training_transform(preprocessing, (0.5, 1.0), 0.5, None)
    shrunk = replace(whole, shrinks=True)
    assert shrunk.prepare(photo).shape == (int(256 * 450 / 331), 256, 3)
    assert shrunk.prepare(photo.resize((200, 300))).shape == (300, 200, 3)
    for index in range(10):
        pair = [pixels_of(each(photo, index=index), preprocessing) for each in (whole, shrunk)]
        assert (pair[0] - pair[1]).abs().mean() < 4


@pytest.mark.parametrize("size", [(700, 1), (1, 700), (4001, 3), (3, 4000), (1703, 50), (50, 9999)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_middle_of_a_long_image_is_that_of_the_whole(preprocessing, size, interpolation):
    preprocessing = replace(preprocessing, interpolation=interpolation, mean=(0, 0, 0), std=(1, 1, 1))
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    reference = v2.Compose(
        [
            v2.Resize(20, interpolation=v2.InterpolationMode(interpolation), antialias=True),
            v2.CenterCrop(16),
            v2.PILToTensor(),
        ]
    )(image)
    ours = evaluation_transform(preprocessing)(image) * 255
    # Pillow may take the two directions in another order, and round in between.
    assert abs(ours - reference).max() <= 8.5
    assert abs(ours - reference).mean() < 0.5


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (40_000, 3), (20_000, 90)])
def test_no_image_becomes_gigantic(preprocessing, size):
    preprocessing = replace(preprocessing, resize=256, crop=224, mean=(0, 0, 0), std=(1, 1, 1))
    image = Image.new("RGB", size, (9, 90, 200))
    crops = training_transform(preprocessing, (0.08, 1.0), 0.5, None)
    for transform in (
        evaluation_transform(preprocessing),
        training_transform(preprocessing, None, 0.5, None, 4),
        crops,
        replace(crops, shrinks=True),
    ):
        prepared = transform.prepare(image)
        assert prepared.size <= max(3 * 16 * 257 * 256, 3 * size[0] * size[1])
        found = transform(image)
        assert found.shape == (3, 224, 224)
        assert torch.allclose(found[:, 112, 112] * 255, torch.tensor([9.0, 90.0, 200.0]))
