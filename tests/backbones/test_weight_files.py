"""Every kind of weights file is read, nothing else is, and a pickle never runs."""

import os

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from graft.backbones import Preprocessing, load_weights, simple_cnn, torchvision_backbone
from graft.backbones.weight_files import recorded_preprocessing
from graft.errors import GraftError


def named(trained):
    """The state dict of backbone and head in one module, as bundles and checkpoints hold it."""
    backbone, head = trained
    return nn.ModuleDict({"backbone": backbone, "head": head}).state_dict()


def write(kind, folder, trained):
    """The trained backbone in a file or folder of one kind."""
    own, whole = trained[0].state_dict(), named(trained)
    if kind in ("bundle", "run folder"):
        bundle = folder / "model" if kind == "run folder" else folder
        bundle.mkdir(exist_ok=True)
        save_file(whole, bundle / "model.safetensors")
        return folder
    path = folder / {"safetensors": "a.safetensors", "pt": "a.pt", "Lightning": "a.ckpt"}.get(kind, "a.pth")
    if kind == "safetensors":
        save_file(own, path)
    elif kind == "Lightning":
        torch.save({"epoch": 3, "state_dict": whole, "optimizer_states": [{"state": {}}], "loops": {}}, path)
    elif kind == "model key":
        torch.save({"model": own, "epoch": 1}, path)
    elif kind == "nested":
        torch.save({"model": {"state_dict": whole}, "args": "x"}, path)
    elif kind == "old format":
        torch.save(own, path, _use_new_zipfile_serialization=False)
    else:
        torch.save(own, path)
    return path


KINDS = ["safetensors", "pth", "pt", "old format", "Lightning", "model key", "nested", "bundle", "run folder"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_loads(tmp_path, trained, fresh, kind, same):
    assert not same(trained[0], fresh)
    filled = load_weights(fresh, write(kind, tmp_path, trained))
    assert same(trained[0], fresh)
    assert sorted(filled.values()) == sorted(fresh.state_dict())


def test_a_home_relative_path_is_expanded(tmp_path, monkeypatch, trained, fresh, same):
    monkeypatch.setenv("HOME", str(tmp_path))
    write("pth", tmp_path, trained)
    load_weights(fresh, "~/a.pth")
    assert same(trained[0], fresh)


class Payload:
    """Touches a file when a careless reader unpickles it."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (os.mkdir, (str(self.marker),))


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
def test_a_malicious_pickle_never_runs(tmp_path, trained, fresh, suffix, new_format, refused):
    marker, path = tmp_path / "marker", tmp_path / f"a{suffix}"
    state = {**trained[0].state_dict(), "extra": Payload(marker)}
    torch.save(state, path, _use_new_zipfile_serialization=new_format)
    message = refused(fresh, path)
    assert not marker.exists()
    assert "mkdir" in message
    assert "runs no code" in message
    torch.load(path, weights_only=False)
    assert marker.exists(), "the payload must be one that works"


def test_a_pickled_module_is_refused(tmp_path, trained, fresh, refused):
    torch.save(trained[0], tmp_path / "a.pth")
    assert "save the state dict alone" in refused(fresh, tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.pth", None, "there is no such file"),
        ("missing", None, "ends in one of"),
        ("a.h5", b"x", "ends in one of .safetensors, .pth, .pt, .ckpt"),
        ("a.pth", b"", "the file is empty"),
        ("a.safetensors", b"", "the file is empty"),
        ("a.pth", b"<html>not found</html>", "damaged or no weights file"),
        ("a.pth", b"\x80\x02garbage", "damaged or no weights file"),
        ("a.pth", b"PK\x03\x04garbage", "damaged or no weights file"),
        ("a.safetensors", b"<html>not found</html>", "damaged or no weights file"),
    ],
)
def test_what_is_no_weights_file_is_refused(tmp_path, fresh, name, content, message, refused):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert message in refused(fresh, tmp_path / name)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_cut_off_file_is_refused(tmp_path, trained, fresh, suffix, refused):
    path = write(suffix.removeprefix("."), tmp_path, trained)
    path.write_bytes(path.read_bytes()[:5000])
    assert "damaged" in refused(fresh, path)


@pytest.mark.parametrize("value", [[1, 2], {"epoch": 3}, {}, torch.ones(3), {"state_dict": {}}])
def test_what_is_no_state_dict_is_refused(tmp_path, fresh, value, refused):
    torch.save(value, tmp_path / "a.pth")
    assert "holds no state dict" in refused(fresh, tmp_path / "a.pth")


def test_a_folder_that_is_no_bundle_is_refused(tmp_path, fresh, refused):
    assert "the folder holds no bundle" in refused(fresh, tmp_path)


def describe(folder, **values):
    (folder / "model.yaml").write_text(yaml.safe_dump(values))


@pytest.mark.parametrize("kind", ["bundle", "run folder"])
def test_a_bundle_brings_its_preprocessing(tmp_path, trained, kind, same):
    own = Preprocessing(40, 32, "bicubic", (0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    folder = write(kind, tmp_path, trained)
    describe(
        folder / "model" if kind == "run folder" else folder, preprocessing=own.to_dict(), class_names=["a"]
    )
    backbone = simple_cnn(weights=str(folder))
    assert same(backbone, trained[0])
    assert backbone.preprocessing == own


def test_a_bundle_of_torchvision_s_brings_its_preprocessing(tmp_path, same):
    trained = torchvision_backbone("squeezenet1_1"), nn.Linear(512, 2)
    own = Preprocessing(100, 90, mean=(0.0, 0.0, 0.0))
    describe(write("bundle", tmp_path, trained), preprocessing=own.to_dict())
    backbone = torchvision_backbone("squeezenet1_1", weights=str(tmp_path))
    assert same(backbone, trained[0])
    assert backbone.preprocessing == own
    assert (
        torchvision_backbone("squeezenet1_1", weights=str(tmp_path), image_size=45).preprocessing.resize == 50
    )


def test_other_files_record_no_preprocessing(tmp_path, trained):
    assert recorded_preprocessing(write("pth", tmp_path, trained)) is None
    assert recorded_preprocessing(write("bundle", tmp_path, trained)) is None
    assert torchvision_backbone("squeezenet1_1").preprocessing == Preprocessing(256, 224)


@pytest.mark.parametrize("content", ["preprocessing: [", "classes: 3", "- 1", "", "preprocessing: 3"])
def test_a_damaged_description_is_refused(tmp_path, trained, content):
    (write("bundle", tmp_path, trained) / "model.yaml").write_text(content)
    with pytest.raises(GraftError, match="preprocessing"):
        simple_cnn(weights=str(tmp_path))
