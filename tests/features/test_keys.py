"""Each part of what determines a boundary tensor is part of its key, and nothing else is."""

import copy
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from graft.backbones import Preprocessing
from graft.data import ImageSamples, evaluation_transform, training_transform
from graft.features import extraction, keys
from graft.features.keys import boundary_key, same_transform, sample_ids, stage_digest, surroundings

EVERY = np.arange(7)


def key(net, stop=3, transform=None, how=(("device", "cpu"),), readers=()):
    digests = [stage_digest(stage) for stage in net.stages.values()][:stop]
    transform = transform or evaluation_transform(net.preprocessing)
    return boundary_key(digests, surroundings(net, transform, dict(how), readers))


def test_the_same_has_the_same_key(backbone):
    assert key(backbone()) == key(backbone())
    assert len(key(backbone())) == 64


@pytest.mark.parametrize(
    "changed",
    [
        {"net": {"seed": 1}},
        {"net": {"width": 7}},
        {"net": {"stride": 1}},
        {"net": {"size": 20}},
        {"net": {"mean": 0.4}},
        {"stop": 2},
        {"transform": v2.Compose([v2.Resize(16), v2.PILToTensor()])},
        {"how": [("device", "cuda")]},
        {"how": [("device", "cpu"), ("precision", "bf16-mixed")]},
        {"how": [("device", "cpu"), ("channels_last", True)]},
        {"readers": [Image.open]},
    ],
)
def test_another_part_has_another_key(changed, backbone):
    net = backbone(**changed.pop("net", {}))
    assert key(net, **changed) != key(backbone())


@pytest.mark.parametrize("name", ["stages.stem.1.weight", "stages.stem.1.running_var", "stages.top.2.bias"])
def test_the_last_bit_of_a_weight_or_buffer_counts(name, backbone):
    net = backbone()
    tensor = net.state_dict()[name]
    with torch.no_grad():
        tensor.view(-1)[0] = torch.nextafter(tensor.view(-1)[0], torch.tensor(9.0))
    assert key(net) != key(backbone())


def test_a_buffer_that_is_not_saved_counts(backbone):
    net, other = backbone(), backbone()
    for module, value in ((net, 1.0), (other, 2.0)):
        module.stages["top"].register_buffer("scale", torch.tensor(value), persistent=False)
    assert key(net) != key(other)


def test_what_lies_above_the_boundary_does_not_count(backbone):
    changed = backbone()
    with torch.no_grad():
        changed.stages["top"][2].weight.add_(1)
    assert key(changed, stop=2) == key(backbone(), stop=2)
    assert key(changed) != key(backbone())


def test_mode_gradient_and_memory_layout_do_not_count(backbone):
    net = backbone().eval().requires_grad_(False).to(memory_format=torch.channels_last)
    assert key(net) == key(backbone())


def test_the_dtype_of_the_weights_counts(backbone):
    assert key(backbone().double()) != key(backbone())


class Scaled(nn.Module):
    """Its settings show in no weight and not in its text."""

    def __init__(self, factor, how=None):
        super().__init__()
        self._factor = factor
        self.how = how or abs

    def forward(self, x):
        return self.how(x * self._factor)


class Slotted:
    __slots__ = ("power",)

    def __init__(self, power):
        self.power = power

    def __call__(self, x):
        return x**self.power


PAIRS = {
    "number": [(2, None), (3, None)],
    "function": [(2, abs), (2, torch.relu)],
    "slots": [(2, Slotted(2)), (2, Slotted(3))],
    "path": [(Path("x"), None), (Path("y"), None)],
    "pattern": [(re.compile("x"), None), (re.compile("y"), None)],
}


@pytest.mark.parametrize("what", PAIRS)
def test_settings_that_no_weight_shows_count(what, backbone):
    one, other = PAIRS[what]
    nets = [backbone(), backbone(), backbone()]
    for net, settings in zip(nets, [one, other, other], strict=True):
        net.stages["stem"].append(Scaled(*settings))
    assert key(nets[0]) != key(nets[1])
    assert key(nets[1]) == key(nets[2])


def test_the_code_of_a_module_of_ones_own_counts(backbone, tmp_path, monkeypatch):
    path = tmp_path / "ownlayer.py"
    path.write_text(
        "from torch import nn\n\nclass Own(nn.Module):\n    def forward(self, x):\n        return x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = []
    for text in ("return x\n", "return x + 1\n"):
        path.write_text(path.read_text().replace("return x\n", text))
        sys.modules.pop("ownlayer", None)
        net = backbone()
        net.stages["stem"].append(__import__("ownlayer").Own())
        found.append(key(net))
    assert found[0] != found[1]


@pytest.mark.parametrize(
    "module", [extraction, keys.images, keys.transforms, sys.modules["graft.backbones.backbone"]]
)
def test_the_code_that_computes_it_counts(module, backbone, monkeypatch, tmp_path):
    before = key(backbone())
    changed = tmp_path / "changed.py"
    changed.write_text(Path(module.__file__).read_text() + "# changed\n")
    monkeypatch.setattr(module, "__file__", str(changed))
    assert key(backbone()) != before


@pytest.mark.parametrize("name", ["torch", "torchvision", "PIL", "numpy"])
def test_the_version_of_a_library_counts(name, backbone, monkeypatch):
    before = key(backbone())
    monkeypatch.setattr(keys.VERSIONED[name], "__version__", "0.0")
    assert key(backbone()) != before


def test_an_image_is_known_by_its_content(images):
    data, other = images(), images(seed=1)
    assert sample_ids(data, EVERY) == sample_ids(images(), EVERY)
    assert not set(sample_ids(data, EVERY)) & set(sample_ids(other, EVERY))
    renamed = ImageSamples([f"x{i}" for i in range(7)], [0] * 7, data.__getitem__, data.content)
    assert sample_ids(renamed, EVERY) == sample_ids(data, EVERY)


def test_a_file_that_changes_under_its_name_and_time_is_another_image(tmp_path):
    from graft.data import file_images

    path = tmp_path / "a.png"
    found = []
    for colour in ("red", "blue"):
        Image.new("RGB", (4, 4), colour).save(path)
        import os

        os.utime(path, (0, 0))
        found.append(sample_ids(file_images(tmp_path, ["a.png"], [0]), [0]))
    assert found[0] != found[1]


def test_the_same_bytes_in_another_shape_are_another_image():
    from graft.data import array_images

    pixels = np.arange(64, dtype=np.uint8)
    wide, high = (array_images(["x"], [0], pixels.reshape(1, *shape)) for shape in ((4, 16), (16, 4)))
    assert wide.digest(0) != high.digest(0)


def test_a_view_is_known_by_seed_view_and_index(images):
    data = images()
    ids = [sample_ids(data, EVERY, drawn) for drawn in (None, (0, 0), (0, 1), (1, 0))]
    assert len({name for found in ids for name in found}) == 4 * 7
    twice = ImageSamples(["a", "b"], [0, 0], lambda index: data[0], lambda index: data.content(0))
    plain, drawn = sample_ids(twice, [0, 1]), sample_ids(twice, [0, 1], (0, 0))
    assert plain[0] == plain[1]
    assert drawn[0] != drawn[1]


def test_transforms_are_compared_by_their_settings():
    preprocessing = Preprocessing(resize=16, crop=16)
    plain = evaluation_transform(preprocessing)
    assert same_transform(plain, training_transform(preprocessing, None, 0.0, None))
    assert same_transform(plain, copy.deepcopy(plain))
    assert not same_transform(plain, training_transform(preprocessing, None, 0.5, None))
    assert not same_transform(plain, training_transform(preprocessing, (0.5, 1.0), 0.0, None))
    assert not same_transform(plain, evaluation_transform(Preprocessing(resize=20, crop=16)))
