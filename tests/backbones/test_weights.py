"""Weights fit under any naming and prefix, wholly or not at all."""

import pytest
import torch
from torch import nn
from torchvision import models

from graft.backbones import Preprocessing, carve, load_weights, torchvision_backbone
from graft.backbones.torchvision_stages import FAMILIES


@pytest.fixture(scope="module")
def resnet():
    return models.resnet18(num_classes=37)


PREFIXES = ["", "backbone.", "model.", "net.", "module.", "_orig_mod.", "module._orig_mod.model.backbone."]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_any_common_prefix_is_stripped(tmp_path, trained, fresh, prefix, same):
    state = {f"{prefix}{key}": value for key, value in trained[0].state_dict().items()}
    torch.save({**state, "head.weight": torch.ones(1)}, tmp_path / "a.pth")
    load_weights(fresh, tmp_path / "a.pth")
    assert same(trained[0], fresh)


def test_compiled_stages_inside_are_recognised(tmp_path, trained, fresh, same):
    state = {
        key.replace("conv2.", "conv2._orig_mod."): value for key, value in trained[0].state_dict().items()
    }
    torch.save(state, tmp_path / "a.pth")
    load_weights(fresh, tmp_path / "a.pth")
    assert same(trained[0], fresh)


def test_what_stands_beside_a_prefixed_backbone_is_ignored(tmp_path, trained, fresh, same):
    own = {f"backbone.{key}": value for key, value in trained[0].state_dict().items()}
    torch.save({**own, "head.weight": torch.ones(1), "criterion.weight": torch.ones(10)}, tmp_path / "a.pth")
    load_weights(fresh, tmp_path / "a.pth")
    assert same(trained[0], fresh)


def test_two_backbones_in_one_file_are_refused(tmp_path, trained, fresh, refused, same):
    own = trained[0].state_dict()
    state = {f"student.{key}": value + 1 for key, value in own.items()}
    state |= {f"teacher.{key}": value for key, value in own.items()}
    torch.save(state, tmp_path / "a.pth")
    assert "holds the backbone 2 times, under student and teacher; give" in refused(fresh, tmp_path / "a.pth")
    load_weights(fresh, f"{tmp_path}/a.pth:teacher")
    assert same(trained[0], fresh)


def test_two_backbones_from_before_the_batch_counter_are_refused(tmp_path, resnet, refused):
    old = {key: value for key, value in resnet.state_dict().items() if "num_batches_tracked" not in key}
    state = {f"ema.{key}": value + 1 for key, value in old.items()}
    state |= {f"net.{key}": value for key, value in old.items()}
    torch.save(state, tmp_path / "a.pth")
    message = refused(torchvision_backbone("resnet18"), tmp_path / "a.pth")
    assert "2 times, under ema and net; give" in message


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


def test_a_mismatch_names_keys_and_shapes(tmp_path, refused):
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


def test_one_missing_key_changes_nothing(tmp_path, trained, fresh, refused):
    state = trained[0].state_dict()
    del state["stages.dense2.0.bias"]
    torch.save(state, tmp_path / "a.pth")
    assert "1 missing (stages.dense2.0.bias)" in refused(fresh, tmp_path / "a.pth")


def test_another_network_s_weights_are_refused_in_the_library_s_names(tmp_path, refused):
    torch.save(models.squeezenet1_0().state_dict(), tmp_path / "a.pth")
    message = refused(torchvision_backbone("resnet18"), tmp_path / "a.pth")
    assert "100 missing (conv1.weight," in message
    assert "52 unexpected (features.0.weight," in message


def test_a_few_chance_hits_make_no_prefix(tmp_path, refused):
    state = {f"blocks.7.{layer}.weight": torch.zeros(1) for layer in ("conv1", "bn1", "other")}
    torch.save(state, tmp_path / "a.pth")
    message = refused(torchvision_backbone("resnet18"), tmp_path / "a.pth")
    assert "100 missing (conv1.weight," in message
    assert "3 unexpected (blocks.7.conv1.weight," in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers_are_refused(tmp_path, trained, fresh, value, refused):
    state = trained[0].state_dict()
    state["stages.conv2.0.bias"][3] = value
    torch.save(state, tmp_path / "a.pth")
    assert "1 with NaN or infinity (stages.conv2.0.bias)" in refused(fresh, tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        ({"classifier.1.weight": (5, 512, 1, 1), "classifier.1.bias": (5,)}, [nn.Conv2d, nn.ReLU]),
        # Of somebody's own, who can have put it behind the pooling alone.
        ({"classifier.weight": (5, 512)}, [nn.Linear]),
        # Two layers, something beside the layer, a window, another width: what they compute is not known.
        ({"classifier.1.weight": (512, 512), "classifier.3.weight": (5, 512)}, []),
        ({"classifier.0.scale": (512,), "classifier.1.weight": (5, 512)}, []),
        ({"classifier.1.weight": (5, 128, 2, 2)}, []),
        ({"classifier.1.weight": (5, 512, 3, 3)}, []),
        ({"classifier.1.weight": (5, 300)}, []),
        ({"classifier.1.bias": (5,)}, []),
        ({}, []),
    ],
)
def test_a_last_layer_is_kept_with_what_follows_it_and_any_other_head_is_not(tmp_path, head, kept):
    state = {key: value for key, value in models.squeezenet1_0().state_dict().items() if "features" in key}
    state |= {key: torch.rand(shape) for key, shape in head.items()}
    torch.save({f"net.{key}": value for key, value in state.items()}, tmp_path / "a.pth")
    found = torchvision_backbone("squeezenet1_0", weights=str(tmp_path / "a.pth")).source_head
    if not kept:
        assert found is None
        return
    assert [
        type(layer) for layer in found.layers.modules() if type(layer) in (nn.Linear, nn.Conv2d, nn.ReLU)
    ] == kept
    assert found.replaces == (2 if nn.Conv2d in kept else 0)
    assert [tuple(tensor.shape) for tensor in found.layers.parameters()] == list(head.values())


def test_the_head_beside_a_backbone_of_our_own_names_is_not(tmp_path, trained, fresh):
    # Graft's own head normalises the features first, which its names do not tell.
    torch.save({**trained[0].state_dict(), "head.weight": torch.ones(3, 84)}, tmp_path / "a.pth")
    load_weights(fresh, tmp_path / "a.pth")
    assert fresh.source_head is None
