"""Every kind of weights file is read, nothing else is, and a pickle never runs."""

from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from graft.backbones import Preprocessing, load_weights, simple_cnn, torchvision_backbone
from graft.backbones.weight_files import read_weights
from graft.configuration.weights_place import absolute, file_and_place
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
    name = {"safetensors": "a.safetensors", "pt": "a.pt", "Lightning": "a.ckpt"}.get(kind, "a.pth")
    path = folder / (kind if kind.startswith("a") else name)
    if kind == "safetensors":
        save_file(own, path)
    elif kind == "Lightning":
        # With a moving average: `state_dict` is what was validated, beside it is what training goes on from.
        other = {key: value + 1 for key, value in whole.items()}
        extra = {"optimizer_states": [{"state": {}}], "loops": {}, "current_model_state": other}
        torch.save({"epoch": 3, "pytorch-lightning_version": "2", "state_dict": whole, **extra}, path)
    elif kind == "model key":
        torch.save({"model": own, "epoch": 1}, path)
    elif kind in SCRIPTS:
        torch.save(SCRIPTS[kind](own), path)
    elif kind == "nested":
        torch.save({"model": {"state_dict": whole}, "args": "x"}, path)
    elif kind == "old format":
        torch.save(own, path, _use_new_zipfile_serialization=False)
    else:
        torch.save(own, path)
    return path


def adams(own):
    """The state of an optimizer, tensors as large as the weights."""
    return {
        "state": {n: {"exp_avg": torch.zeros_like(t)} for n, t in enumerate(own.values())},
        "param_groups": [],
    }


# As people's scripts save them.
SCRIPTS = {
    "the tutorial's": lambda own: {
        "epoch": 3, "model_state_dict": own, "optimizer_state_dict": adams(own), "loss": torch.tensor(0.3)
    },
    "net": lambda own: {"net": own, "acc": 91.5, "epoch": 7},
    "state_dict_ema": lambda own: {"state_dict_ema": own, "arch": "x"},
    "model_ema": lambda own: {"model_ema": {"module": own}, "best": torch.ones(())},
    "of several processes": lambda own: {
        "state_dict": {f"module.{key}": value for key, value in own.items()}, "optimizer": adams(own)
    },
    "another's beside it": lambda own: {"state_dict": {"w": torch.ones(3)}, "backbone": own},
    "the same twice": lambda own: {"state_dict": own, "model": {f"net.{key}": t for key, t in own.items()}},
}  # fmt: skip
SUFFIXES = ["a.pth.tar", "a.PTH", "a.bin", "a.weights", "a"]
KINDS = ["safetensors", "pth", "pt", "old format", "Lightning", "model key", "nested", "bundle", "run folder"]
KINDS += [*SCRIPTS, *SUFFIXES]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_loads(tmp_path, trained, fresh, kind, same):
    assert not same(trained[0], fresh)
    filled = load_weights(fresh, write(kind, tmp_path, trained))
    assert same(trained[0], fresh)
    assert sorted(filled.values()) == sorted(fresh.state_dict())


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("pth", ""),
        ("safetensors", ""),
        ("the tutorial's", "model_state_dict"),
        ("model_ema", "model_ema.module"),
    ],
)
def test_it_is_said_which_was_taken(tmp_path, trained, fresh, kind, place, capsys):
    path = write(kind, tmp_path, trained)
    load_weights(fresh, path)
    said = f"backbone.weights={path}: what is under {place} is taken\n" if place else ""
    assert capsys.readouterr().out == said


def test_two_that_fit_are_asked_about(tmp_path, trained, fresh, refused, same, capsys):
    own, path = trained[0].state_dict(), tmp_path / "a.pth"
    average = {key: value + 1 for key, value in own.items()}
    wrapped = {f"module.{key}": value for key, value in own.items()}
    torch.save({"state_dict": wrapped, "state_dict_ema": average, "epoch": 3}, path)
    message = refused(fresh, path)
    assert "holds the backbone 2 times, under state_dict and state_dict_ema" in message
    assert message.endswith(
        f"; give backbone.weights={path}:state_dict or backbone.weights={path}:state_dict_ema"
    )
    load_weights(fresh, f"{path}:state_dict")
    assert same(trained[0], fresh)
    load_weights(fresh, f"{path}:state_dict_ema")
    assert all(torch.equal(value, average[key]) for key, value in fresh.state_dict().items())
    assert capsys.readouterr().out.count("is taken") == 2
    assert "nothing in the file is under ema; there are" in refused(fresh, f"{path}:ema")
    assert "under state_dict_em; did you mean state_dict_ema?" in refused(fresh, f"{path}:state_dict_em")


def test_two_in_one_state_dict_are_asked_about_by_their_prefixes(tmp_path, trained, fresh, refused, same):
    own, path = trained[0].state_dict(), tmp_path / "a.pth"
    state = {f"net.{key}": value for key, value in own.items()}
    torch.save({"model": state | {f"ema.{key}": value + 1 for key, value in own.items()}}, path)
    words = f"; give backbone.weights={path}:model.ema or backbone.weights={path}:model.net"
    assert refused(fresh, path).endswith(words)
    assert refused(fresh, f"{path}:model").endswith(words)
    load_weights(fresh, f"{path}:model.net")
    assert same(trained[0], fresh)


def test_a_file_with_a_colon_in_its_name_is_that_file(tmp_path, trained, fresh, same):
    write("pth", tmp_path, trained).rename(tmp_path / "a:b")
    (tmp_path / "a").write_bytes(b"x")
    load_weights(fresh, tmp_path / "a:b")
    assert same(trained[0], fresh)
    assert file_and_place("x.pth:y") == (Path("x.pth:y"), None)


def test_a_place_is_kept_where_the_path_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pth").touch()
    assert absolute("a.pth:model.ema") == f"{tmp_path}/a.pth:model.ema"
    assert absolute("a.pth") == f"{tmp_path}/a.pth"
    assert absolute("IMAGENET1K_V1") == "IMAGENET1K_V1"


def test_a_home_relative_path_is_expanded(tmp_path, monkeypatch, trained, fresh, same):
    monkeypatch.setenv("HOME", str(tmp_path))
    write("pth", tmp_path, trained)
    load_weights(fresh, "~/a.pth")
    assert same(trained[0], fresh)


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
def test_a_malicious_pickle_never_runs(tmp_path, trained, fresh, suffix, new_format, refused, payload):
    marker, path = tmp_path / "marker", tmp_path / f"a{suffix}"
    state = {**trained[0].state_dict(), "extra": payload(marker)}
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
        ("missing", None, "there is no such file"),
        ("a.h5", b"\x89HDF\r\n\x1a\n", "damaged or no weights file"),
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
    assert read_weights(write("pth", tmp_path, trained)).preprocessing() is None
    assert read_weights(write("bundle", tmp_path, trained)).preprocessing() is None
    assert torchvision_backbone("squeezenet1_1").preprocessing == Preprocessing(256, 224)


@pytest.mark.parametrize("content", ["preprocessing: [", "classes: 3", "- 1", "", "preprocessing: 3"])
def test_a_damaged_description_is_refused(tmp_path, trained, content):
    (write("bundle", tmp_path, trained) / "model.yaml").write_text(content)
    with pytest.raises(GraftError, match="preprocessing"):
        simple_cnn(weights=str(tmp_path))
