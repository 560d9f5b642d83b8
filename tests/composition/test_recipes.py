"""A recipe is whole, and what the command line says beside it wins."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from graft.composition.composing import compose
from graft.configuration.keys import conf_dir
from graft.errors import GraftError

RECIPES = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))
ARTICLE = ("lenet_cifar10", "vgg16_features", "vgg16_fine_tuning")


def composed(*words: str) -> dict[str, Any]:
    return compose("train", list(words))[0]


@pytest.mark.parametrize("command", ["train", "crossval"])
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_whole(name: str, command: str) -> None:
    """It composes with nothing else, and says itself what its data, backbone and strategy are."""
    config, hydra = compose(command, [f"experiment={name}"])
    recipe = yaml.safe_load((conf_dir() / "experiment" / f"{name}.yaml").read_text())
    named = {key: option for default in recipe["defaults"] for key, option in default.items()}
    for group in ("data", "backbone", "freeze"):
        assert named[f"override /{group}"] == hydra.runtime.choices[group]
        assert config[group]["_target_"]


def test_the_article_s_programs_differ_in_what_is_transferred() -> None:
    programs = [composed(f"experiment={name}") for name in ARTICLE]
    assert [p["data"]["name"] for p in programs] == ["cifar10"] * 3
    assert [p["backbone"].get("name", "simple_cnn") for p in programs] == ["simple_cnn", "vgg16", "vgg16"]
    assert [p["backbone"]["weights"] for p in programs] == [None, "IMAGENET1K_V1", "IMAGENET1K_V1"]
    assert [p["name"] for p in programs] == ["simple_cnn-full", "vgg16-frozen", "vgg16-full"]
    for key in ("data", "optimizer", "scheduler", "loss", "head", "trainer"):
        assert programs[0][key] == programs[1][key] == programs[2][key]
    optimizer = programs[0]["optimizer"]
    assert (optimizer["lr"], optimizer["head_lr"], optimizer["momentum"]) == (0.001, None, 0.9)
    assert (programs[0]["data"]["batch_size"], programs[0]["trainer"]["max_epochs"]) == (100, 10)


def test_an_option_beside_a_recipe_brings_its_own_values() -> None:
    given = ["experiment=lenet_cifar10", "optimizer=adamw", "backbone=squeezenet1_0"]
    config, plain = composed(*given), composed("optimizer=adamw", "backbone=squeezenet1_0")
    assert config["optimizer"] == plain["optimizer"]
    assert config["backbone"] == plain["backbone"]
    assert composed(*given, "optimizer.lr=0.5")["optimizer"]["lr"] == 0.5
    with pytest.raises(GraftError, match=r"optimizer.momentum with this optimizer; it belongs to .*sgd"):
        composed(*given, "optimizer.momentum=0.5")


def test_what_options_share_stays_the_recipe_s() -> None:
    config = composed("experiment=lenet_cifar10", "data=image_folder", "data.root=x", "trainer=cpu")
    assert config["data"]["_target_"] == "graft.sources.image_folder"
    assert (config["data"]["batch_size"], config["data"]["val_fraction"]) == (100, 0.0)
    assert "download" not in config["data"]
    assert (config["trainer"]["accelerator"], config["trainer"]["max_epochs"]) == ("cpu", 10)
    # Those of the group that are an option's alone go with it.
    folder = composed("experiment=grey_microscopy", "data=image_folder", "data.root=x")
    assert "file" not in folder["data"]
    assert folder["augment"]["policy"]["_target_"].endswith("RandomVerticalFlip")


def test_no_augmentation_beside_a_recipe_is_none() -> None:
    none = composed()["augment"]
    assert composed("experiment=grey_microscopy", "augment=none")["augment"] == none
    # A further recipe replaces options as words do, and its own values are laid over them.
    both = composed("experiment=grey_microscopy", "debug=overfit")
    assert both["augment"] == none
    assert both["optimizer"]["weight_decay"] == 0.0


def test_a_recipe_that_names_no_option_means_any(tmp_path: Path) -> None:
    folder = tmp_path / "experiment"
    folder.mkdir()
    (folder / "rate.yaml").write_text("# @package _global_\noptimizer:\n  lr: 0.25\n")
    (folder / "built.yaml").write_text(
        "# @package _global_\ndefaults:\n  - rate\n  - override /optimizer: sgd\n  - _self_\n"
        "optimizer:\n  momentum: 0.5\n"
    )
    where = f"hydra.searchpath=[file://{tmp_path}]"
    assert composed("experiment=rate", "optimizer=sgd", where)["optimizer"]["lr"] == 0.25
    sgd = composed("experiment=built", where)["optimizer"]
    assert (sgd["lr"], sgd["momentum"]) == (0.25, 0.5)
    adam = composed("experiment=built", "optimizer=adam", where)["optimizer"]
    assert adam == composed("optimizer=adam")["optimizer"]
