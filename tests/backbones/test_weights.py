"""Weights load under any naming, wholly or not at all; a pickle never runs."""

import os

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from graft.backbones import Preprocessing, carve, load_weights, simple_cnn, torchvision_backbone
from graft.backbones.torchvision_stages import FAMILIES
from graft.backbones.weight_files import recorded_preprocessing
from graft.errors import GraftError


@pytest.fixture
def trained():
    """A backbone and a head as a run leaves them."""
    torch.manual_seed(1)
    return simple_cnn(), nn.Linear(84, 10)


@pytest.fixture
def fresh():
    torch.manual_seed(2)
    return simple_cnn()


@pytest.fixture(scope="module")
def resnet():
    return models.resnet18(num_classes=37)


def named(trained):
    """The state dict of backbone and head in one module, as bundles and checkpoints hold it."""
    backbone, head = trained
    return nn.ModuleDict({"backbone": backbone, "head": head}).state_dict()


def same(one, other):
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def snapshot(backbone):
    return {key: value.clone() for key, value in backbone.state_dict().items()}


def refused(backbone, path):
    """The one-line message of a refusal that left the backbone as it was, to the bit."""
    before = snapshot(backbone)
    with pytest.raises(GraftError) as caught:
        load_weights(backbone, path)
    after = backbone.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"backbone.weights={path}")
    return str(caught.value)


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
def test_every_kind_of_file_loads(tmp_path, trained, fresh, kind):
    assert not same(trained[0], fresh)
    filled = load_weights(fresh, write(kind, tmp_path, trained))
    assert same(trained[0], fresh)
    assert sorted(filled.values()) == sorted(fresh.state_dict())


def test_a_home_relative_path_is_expanded(tmp_path, monkeypatch, trained, fresh):
    monkeypatch.setenv("HOME", str(tmp_path))
    write("pth", tmp_path, trained)
    load_weights(fresh, "~/a.pth")
    assert same(trained[0], fresh)


PREFIXES = ["", "backbone.", "model.", "net.", "module.", "_orig_mod.", "module._orig_mod.model.backbone."]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_any_common_prefix_is_stripped(tmp_path, trained, fresh, prefix):
    state = {f"{prefix}{key}": value for key, value in trained[0].state_dict().items()}
    torch.save({**state, "head.weight": torch.ones(1)}, tmp_path / "a.pth")
    load_weights(fresh, tmp_path / "a.pth")
    assert same(trained[0], fresh)


def test_compiled_stages_inside_are_recognised(tmp_path, trained, fresh):
    state = {
        key.replace("conv2.", "conv2._orig_mod."): value for key, value in trained[0].state_dict().items()
    }
    torch.save(state, tmp_path / "a.pth")
    load_weights(fresh, tmp_path / "a.pth")
    assert same(trained[0], fresh)


def test_what_stands_beside_a_prefixed_backbone_is_ignored(tmp_path, trained, fresh):
    torch.save({**named(trained), "criterion.weight": torch.ones(10)}, tmp_path / "a.pth")
    load_weights(fresh, tmp_path / "a.pth")
    assert same(trained[0], fresh)


def test_two_backbones_in_one_file_are_refused(tmp_path, trained, fresh):
    own = trained[0].state_dict()
    state = {f"{name}.{key}": value for name in ("student", "teacher") for key, value in own.items()}
    torch.save(state, tmp_path / "a.pth")
    assert "holds the backbone 2 times, under student. and teacher." in refused(fresh, tmp_path / "a.pth")


def test_two_backbones_from_before_the_batch_counter_are_refused(tmp_path, resnet):
    old = {key: value for key, value in resnet.state_dict().items() if "num_batches_tracked" not in key}
    state = {f"{name}.{key}": value for name in ("ema", "net") for key, value in old.items()}
    torch.save(state, tmp_path / "a.pth")
    message = refused(torchvision_backbone("resnet18"), tmp_path / "a.pth")
    assert "2 times, under ema. and net." in message


def test_values_are_copied_into_the_parameters_that_are_there(tmp_path, trained, fresh):
    parameters = list(fresh.parameters())
    torch.save({key: value.half() for key, value in trained[0].state_dict().items()}, tmp_path / "a.pth")
    load_weights(fresh, tmp_path / "a.pth")
    assert all(old is new for old, new in zip(parameters, fresh.parameters(), strict=True))
    assert all(parameter.dtype == torch.float32 and parameter.requires_grad for parameter in parameters)


def test_a_library_s_names_load_whatever_its_head(tmp_path, resnet):
    state = {f"module.{key}": value for key, value in resnet.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    backbone = torchvision_backbone("resnet18", weights=str(tmp_path / "a.pth")).eval()
    x = torch.randn(2, 3, 64, 64)
    resnet.eval()
    assert torch.equal(resnet.fc(backbone(x)), resnet(x))


@pytest.mark.parametrize(
    "head", ["classifier.weight", "classifier.1.weight", "classifier.1.2.bias", "head.bias"]
)
def test_a_replaced_head_is_still_a_head(tmp_path, head):
    model = models.squeezenet1_0()
    state = {key: value for key, value in model.state_dict().items() if key.startswith("features.")}
    torch.save({**state, head: torch.ones(3)}, tmp_path / "a.pth")
    torchvision_backbone("squeezenet1_0", weights=str(tmp_path / "a.pth"))


def test_files_from_before_the_batch_counter_load(tmp_path, resnet):
    old = {key: value for key, value in resnet.state_dict().items() if "num_batches_tracked" not in key}
    torch.save(old, tmp_path / "a.pth")
    backbone = torchvision_backbone("resnet18", weights=str(tmp_path / "a.pth"))
    assert torch.equal(backbone.stages["stem"][0].weight, resnet.conv1.weight)


def loads_spelled(path, backbone, state, older):
    """Whether a file with `state` under older keys fills the backbone."""
    spelled = {older(key): value for key, value in state.items()}
    assert spelled.keys() != state.keys()
    torch.save(spelled, path)
    load_weights(backbone, path)
    own = backbone.state_dict()
    return all(torch.equal(own[ours], state[key]) for key, ours in backbone.source_names.items())


def test_older_densenets_load(tmp_path):
    state = models.densenet121().state_dict()
    backbone = torchvision_backbone("densenet121")
    # Published files have `norm.1` for today's `norm1`.
    assert loads_spelled(
        tmp_path / "a.pth",
        backbone,
        state,
        lambda key: key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."),
    )


def test_older_vision_transformers_load(tmp_path):
    def small():
        return models.VisionTransformer(
            32, patch_size=16, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=16
        )

    family, model = FAMILIES["vision_transformer"], small()
    backbone = carve(model, family.stages(model), family.last, Preprocessing(32, 32))

    def older(key):
        return key.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2.")

    assert loads_spelled(tmp_path / "a.pth", backbone, small().state_dict(), older)


def test_a_mismatch_names_keys_and_shapes(tmp_path):
    backbone = torchvision_backbone("resnet18")
    state = models.resnet18().state_dict()
    state["layer1.0.conv1.weight"] = torch.zeros(64, 3, 7, 7)
    for lost in ("conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean"):
        del state[lost]
    state["layer5.weight"] = torch.zeros(3)
    torch.save(state, tmp_path / "a.pth")
    message = refused(backbone, tmp_path / "a.pth")
    assert "4 missing (conv1.weight, bn1.weight, bn1.bias, ...)" in message
    assert "1 unexpected (layer5.weight)" in message
    shapes = "layer1.0.conv1.weight is (64, 3, 7, 7) in the file and (64, 64, 3, 3) in the backbone"
    assert f"1 of another shape ({shapes})" in message


def test_one_missing_key_changes_nothing(tmp_path, trained, fresh):
    state = trained[0].state_dict()
    del state["stages.dense2.0.bias"]
    torch.save(state, tmp_path / "a.pth")
    assert "1 missing (stages.dense2.0.bias)" in refused(fresh, tmp_path / "a.pth")


def test_another_network_s_weights_are_refused_in_the_library_s_names(tmp_path):
    torch.save(models.squeezenet1_0().state_dict(), tmp_path / "a.pth")
    message = refused(torchvision_backbone("resnet18"), tmp_path / "a.pth")
    assert "100 missing (conv1.weight," in message
    assert "52 unexpected (features.0.weight," in message


def test_a_few_chance_hits_make_no_prefix(tmp_path):
    state = {f"blocks.7.{layer}.weight": torch.zeros(1) for layer in ("conv1", "bn1", "other")}
    torch.save(state, tmp_path / "a.pth")
    message = refused(torchvision_backbone("resnet18"), tmp_path / "a.pth")
    assert "100 missing (conv1.weight," in message
    assert "3 unexpected (blocks.7.conv1.weight," in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers_are_refused(tmp_path, trained, fresh, value):
    state = trained[0].state_dict()
    state["stages.conv2.0.bias"][3] = value
    torch.save(state, tmp_path / "a.pth")
    assert "1 with NaN or infinity (stages.conv2.0.bias)" in refused(fresh, tmp_path / "a.pth")


class Payload:
    """Touches a file when a careless reader unpickles it."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (os.mkdir, (str(self.marker),))


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
def test_a_malicious_pickle_never_runs(tmp_path, trained, fresh, suffix, new_format):
    marker, path = tmp_path / "marker", tmp_path / f"a{suffix}"
    state = {**trained[0].state_dict(), "extra": Payload(marker)}
    torch.save(state, path, _use_new_zipfile_serialization=new_format)
    message = refused(fresh, path)
    assert not marker.exists()
    assert "mkdir" in message
    assert "runs no code" in message
    torch.load(path, weights_only=False)
    assert marker.exists(), "the payload must be one that works"


def test_a_pickled_module_is_refused(tmp_path, trained, fresh):
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
def test_what_is_no_weights_file_is_refused(tmp_path, fresh, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert message in refused(fresh, tmp_path / name)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_cut_off_file_is_refused(tmp_path, trained, fresh, suffix):
    path = write(suffix.removeprefix("."), tmp_path, trained)
    path.write_bytes(path.read_bytes()[:5000])
    assert "damaged" in refused(fresh, path)


@pytest.mark.parametrize("value", [[1, 2], {"epoch": 3}, {}, torch.ones(3), {"state_dict": {}}])
def test_what_is_no_state_dict_is_refused(tmp_path, fresh, value):
    torch.save(value, tmp_path / "a.pth")
    assert "holds no state dict" in refused(fresh, tmp_path / "a.pth")


def test_a_folder_that_is_no_bundle_is_refused(tmp_path, fresh):
    assert "the folder holds no bundle" in refused(fresh, tmp_path)


def describe(folder, **values):
    (folder / "model.yaml").write_text(yaml.safe_dump(values))


@pytest.mark.parametrize("kind", ["bundle", "run folder"])
def test_a_bundle_brings_its_preprocessing(tmp_path, trained, kind):
    own = Preprocessing(40, 32, "bicubic", (0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    folder = write(kind, tmp_path, trained)
    describe(
        folder / "model" if kind == "run folder" else folder, preprocessing=own.to_dict(), class_names=["a"]
    )
    backbone = simple_cnn(weights=str(folder))
    assert same(backbone, trained[0])
    assert backbone.preprocessing == own


def test_a_bundle_of_torchvision_s_brings_its_preprocessing(tmp_path):
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
