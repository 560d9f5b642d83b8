"""conf/backbone: every file names its target's arguments, all of them, and says when to pick it."""

import inspect
from pathlib import Path

import pytest
import yaml
from hydra.utils import get_method, instantiate

CONF = Path(__file__).parents[2] / "conf" / "backbone"
FILES = sorted(CONF.glob("*.yaml"))


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def file(request):
    return request.param


def test_keys_are_the_target_s_arguments_in_its_order(file):
    config = yaml.safe_load(file.read_text())
    arguments = [*inspect.signature(get_method(config["_target_"])).parameters]
    if "drop_path" not in config:
        # Only for networks that have stochastic depth.
        arguments = [argument for argument in arguments if argument != "drop_path"]
    assert list(config) == ["_target_", *arguments]


def test_the_name_of_the_file_is_the_model_s(file):
    assert yaml.safe_load(file.read_text()).get("name", file.stem) in (file.stem, "???")


def test_it_opens_with_what_it_is_when_to_pick_it_and_an_example(file):
    text = file.read_text()
    opening = text[: text.index("_target_")].splitlines()
    assert opening[0].startswith("# ")
    assert opening[0].endswith(".")
    assert opening[1].startswith("# When to pick it: ")
    assert opening[-1].startswith("# Example: graft train ")
    assert f" backbone={file.stem} " in opening[-1]


def test_named_weights_are_torchvision_s_own_names(file):
    from torchvision import models

    config = yaml.safe_load(file.read_text())
    if config.get("name", "???") != "???":
        own = [entry.name for entry in models.get_model_weights(config["name"])]
        assert config["weights"] in own


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
