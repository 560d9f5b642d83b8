"""conf/data and conf/augment: keys are arguments, arguments are keys, and every file says what it is."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from hydra.utils import get_method, instantiate
from PIL import Image

import graft.data
import graft.sources
from graft.configuration.key_table import LOADING_KEYS
from graft.data import split

CONF = Path(__file__).parents[2] / "conf"
DATA = sorted(file for file in (CONF / "data").glob("*.yaml") if not file.stem.startswith("_"))
AUGMENT = sorted((CONF / "augment").glob("*.yaml"))


def read(file):
    return yaml.safe_load(file.read_text())


def arguments(config):
    return list(inspect.signature(get_method(config["_target_"])).parameters)


@pytest.mark.parametrize("file", DATA, ids=lambda file: file.stem)
def test_a_data_option_names_its_sources_arguments_and_nothing_else(file):
    config = read(file)
    shared = config.pop("defaults")
    assert shared in (["_loading", "_self_"], ["_loading", "_sounds", "_self_"])
    if "_sounds" in shared:
        config |= read(CONF / "data" / "_sounds.yaml")
    assert list(config) == ["_target_", *arguments(config)]
    assert not set(config) & set(LOADING_KEYS)
    if config["_target_"] == "graft.sources.torchvision_data":
        assert config["name"] == file.stem
        assert config["root"] == "${oc.env:GRAFT_DATA_DIR,data}"


def test_the_shared_keys_are_those_that_the_code_expects():
    shared = read(CONF / "data" / "_loading.yaml")
    assert tuple(shared) == LOADING_KEYS
    signature = inspect.signature(split).parameters
    for key in ("val_fraction", "test_fraction", "test_seed", "shots", "fraction"):
        assert shared[key] == signature[key].default
    assert shared["split_seed"] == signature["seed"].default


def test_defaults_of_glyphs_are_the_signatures():
    config = read(CONF / "data" / "glyphs.yaml")
    signature = inspect.signature(graft.sources.glyphs).parameters
    assert {key: config[key] for key in signature} == {key: p.default for key, p in signature.items()}


@pytest.mark.parametrize("file", AUGMENT, ids=lambda file: file.stem)
def test_an_augmentation_names_all_arguments_and_works_on_an_image(file, preprocessing):
    config = read(file)
    assert list(config) == ["_target_", "_partial_", *arguments(config)[1:]]
    if config["_target_"] != "graft.data.training_transform":
        # Of another kind, which has tests of its own.
        return
    if config["policy"] is not None:
        assert list(config["policy"]) == ["_target_", *arguments(config["policy"])]
    transform = instantiate(config, _convert_="all")(preprocessing)
    # Often enough for each of a policy's operations to be drawn.
    for index in range(60):
        found = transform(Image.new("RGB", (40, 30), (90, 120, 200)), index=index)
        assert found.shape == (3, 16, 16)
        assert found.dtype == torch.float32


@pytest.mark.parametrize("file", [*DATA, *AUGMENT], ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_file_opens_with_what_it_is_when_to_pick_it_and_an_example(file):
    text = file.read_text()
    opening = text[: min(text.find(word) % len(text) for word in ("defaults:", "_target_:"))].splitlines()
    assert opening[0].startswith("# ")
    assert opening[0].endswith(".")
    assert opening[1].startswith("# Pick it ")
    assert opening[-1].startswith("# Example: graft train ")
    assert f" {file.parent.name}={file.stem}" in opening[-1]


def test_every_public_name_is_there_and_importing_the_package_needs_no_torch():
    for room in (graft.data, graft.sources):
        for module, names in room._HOMES.items():
            for name in names:
                assert getattr(room, name).__module__ == f"{room.__name__}.{module}"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = graft.data.nothing
    needed = "assert not {'torch', 'sklearn'} & set(sys.modules)"
    code = f"import sys, graft.data, graft.sources; graft.sources.image_folder; {needed}"
    subprocess.run([sys.executable, "-c", code], check=True)
