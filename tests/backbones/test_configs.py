"""conf/backbone: every file names its target's arguments, all of them, and says when to pick it."""

import inspect
from pathlib import Path

import pytest
import yaml
from hydra.utils import get_method, instantiate
from torchvision import models

from graft.backbones.weight_packages import PACKAGES
from graft.composition.composing import compose
from graft.configuration.network_names import networks

CONF = Path(__file__).parents[2] / "conf" / "backbone"
FILES = sorted(CONF.glob("*.yaml"))
TIMM = "graft.backbones.timm_backbone"
TRANSFORMERS = "graft.backbones.transformers_backbone"


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def file(request):
    return request.param


def test_keys_are_the_target_s_arguments_in_its_order(file):
    config = yaml.safe_load(file.read_text())
    arguments = [*inspect.signature(get_method(config["_target_"])).parameters]
    # Stochastic depth is for networks that have it; more arguments for those that are asked for by any name.
    optional = {"drop_path"} if config.get("name") == "???" else {"drop_path", "model_args"}
    # The samples that train, of what learns from them; the encoder's, which a bundle has.
    optional |= {"training", "config"}
    arguments = [argument for argument in arguments if argument in config or argument not in optional]
    assert list(config) == ["_target_", *arguments]


def test_the_name_of_the_file_is_the_model_s(file):
    config = yaml.safe_load(file.read_text())
    # timm calls those whose weights are TensorFlow's tf_….
    names = (file.stem, f"tf_{file.stem}") if config["_target_"] == TIMM else (file.stem,)
    assert config.get("name", "???") in (*names, "???")


def test_it_opens_with_what_it_is_when_to_pick_it_and_an_example(file):
    text = file.read_text()
    opening = text[: text.index("_target_")].splitlines()
    assert opening[0].startswith("# ")
    assert opening[0].endswith(".")
    assert opening[1].startswith("# When to pick it: ")
    assert opening[-1].startswith("# Example: graft train ")
    assert f" backbone={file.stem} " in opening[-1]


def test_named_weights_are_there_for_the_name(file):
    config = yaml.safe_load(file.read_text())
    if config["_target_"] == TIMM:
        known = (
            ["pretrained"] if config["name"] == "???" else ["package"] if config["name"] in PACKAGES else []
        )
    elif config["_target_"] == TRANSFORMERS:
        known = ["pretrained"]
    elif config.get("name", "???") != "???":
        known = [entry.name for entry in models.get_model_weights(config["name"])]
    else:
        known = [None] if "name" not in config else ["IMAGENET1K_V1"]
    assert config["weights"] in known


def test_every_packaged_network_has_a_file():
    nodes = [yaml.safe_load(file.read_text()) for file in FILES]
    assert {node["name"] for node in nodes if node["weights"] == "package"} == set(PACKAGES)


@pytest.mark.parametrize(
    ("words", "weights"),
    [
        (["backbone=timm", "backbone.name=resnet18"], networks("timm")["resnet18"].weights[0]),
        (["backbone=timm", "backbone.name=resnet18.tv_in1k"], "tv_in1k"),
        (["backbone=timm", f"backbone.name=hf-hub:somebody/net@{'0' * 40}"], "hub"),
        (["backbone=timm", "backbone.name=resnet18", "backbone.weights=null"], None),
        (["backbone=efficientnet_lite0"], "package"),
    ],
)
def test_timm_s_weights_follow_the_name(words, weights):
    config, _ = compose("train", words)
    assert config["backbone"]["weights"] == weights


def test_the_small_ones_build_through_hydra():
    small = yaml.safe_load((CONF / "simple_cnn.yaml").read_text())
    assert instantiate(small).width == 84
    resnet = yaml.safe_load((CONF / "resnet18.yaml").read_text())
    assert instantiate({**resnet, "weights": None}, _convert_="all").width == 512


def test_defaults_in_simple_cnn_are_the_signature_s():
    config = yaml.safe_load((CONF / "simple_cnn.yaml").read_text())
    for name, parameter in inspect.signature(get_method(config["_target_"])).parameters.items():
        given = tuple(config[name]) if isinstance(config[name], list) else config[name]
        assert given == parameter.default
