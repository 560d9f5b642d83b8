"""The YAML files tell the truth: each says what it is, its keys are its target's, its example composes."""

import inspect
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.utils import get_object
from omegaconf import OmegaConf

from graft.composition.composing import compose
from graft.configuration import keys
from graft.configuration.key_table import LOADING_KEYS, PARTS
from graft.configuration.keys import conf_dir, known_keys
from graft.errors import GraftError

# LibYAML's, where it is there: the same, some ten times as fast.
PlainLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
PlainDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
FILES = sorted(conf_dir().rglob("*.yaml"))
OPTIONS = [path for path in FILES if path.parent != conf_dir() and not path.name.startswith("_")]

# What the code itself hands to a target, so that no file lists it.
GIVEN = {
    "optimizer": {"params"},
    "scheduler": {"optimizer", "span"},
    # all but the width and number of classes are for the source's own
    "head": {"width", "classes", "class_names", "weights", "trust"},
    "augment": {"preprocessing"},
    # of an encoder's bundle, and the samples to train on
    "backbone": {"config", "training"},
    "mix": {"classes"},
    "trainer": {
        # chosen by what stands in `callbacks` and `logger`
        *("callbacks", "logger", "default_root_dir", "enable_checkpointing", "enable_progress_bar"),
        # the data module gives each process its share
        *("use_distributed_sampler", "plugins"),
        # would turn off what a run folder is made of
        *("fast_dev_run", "barebones", "reload_dataloaders_every_n_epochs", "model_registry"),
        "enable_autolog_hparams",
    },
    # `purge_step` by where a run goes on
    "logger": {"dir", "version", "max_queue", "kwargs", "purge_step"},
}
# What only some networks have, so that the files of others do not list it.
RARE = {"backbone": {"drop_path", "model_args"}}
# Keys that the code reads beside the target's own.
READ = {
    "optimizer": {"head_lr", "layer_decay"},
    "data": set(LOADING_KEYS),
    "adapt": {"select", "norm", "epoch_of"},
}


def name_of(path: Path) -> str:
    return path.relative_to(conf_dir()).as_posix()


def targets(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield node
        for value in node.values():
            yield from targets(value)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_opens_with_what_it_is_when_to_pick_it_and_a_command(path: Path) -> None:
    lines = path.read_text().splitlines()
    comments = list(lines[: next(i for i, s in enumerate(lines) if not s.startswith("#"))])
    if path.name.startswith("_"):
        assert comments
        return
    comments = [line for line in comments if "@package" not in line]
    assert len(comments) >= 3
    assert any(line.startswith("# Example: graft ") for line in comments)
    assert comments[0].endswith(".")
    assert len(comments[0]) > 20
    if path.parent != conf_dir():
        assert any("pick" in line.lower() for line in comments)
    assert max(map(len, lines)) <= 120


def examples(path: Path) -> Iterator[list[str]]:
    """The words of the commands that a file shows."""
    for line in path.read_text().splitlines():
        if line.startswith("# Example: graft "):
            yield shlex.split(line.removeprefix("# Example: graft ").split(";")[0])


def assert_plain(config: dict[str, Any]) -> None:
    """Fail unless a configuration survives being written and read: it must hold plain values alone."""
    assert yaml.load(yaml.dump(config, Dumper=PlainDumper), Loader=PlainLoader) == config


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_example_composes(path: Path) -> None:
    for command, *words in examples(path):
        assert_plain(compose(command, words)[0])


@pytest.mark.parametrize("path", OPTIONS, ids=name_of)
def test_keys_are_those_of_the_target(path: Path) -> None:
    group = path.parent.name
    values = known_keys("train", {group: path.stem}, [conf_dir()]).get(group, {})
    for node in targets(values):
        parameters = inspect.signature(get_object(node["_target_"])).parameters
        own = set(node) - {"_target_", "_partial_"}
        open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        top = node is values
        unknown = own - set(parameters) - (READ.get(group, set()) if top else set())
        assert not unknown or open_ended, f"{node['_target_']} takes no {unknown}"
        missing = set(parameters) - own - GIVEN.get(group, set()) - RARE.get(group, set())
        assert not missing, f"{node['_target_']} also takes {missing}"


def test_every_part_has_options_and_every_option_composes() -> None:
    for group in set(PARTS) - {"target"}:
        assert list((conf_dir() / group).glob("*.yaml")), group
    for path in OPTIONS:
        group = path.parent.relative_to(conf_dir()).as_posix()
        extra = {
            "data/image_folder.yaml": ["data.root=x"],
            "data/csv.yaml": ["data.file=x"],
            "regularizer/l2_sp.yaml": ["optimizer.weight_decay=0"],
            "regularizer/co_tuning.yaml": ["backbone=resnet18"],
            "backbone/torchvision.yaml": ["backbone.name=resnet34"],
        }
        prefix = "" if group in (*PARTS, "experiment", "debug", "sweep", "hydra/sweeper") else "+"
        word = f"{prefix}{group}={path.stem}"
        # Most are composed by their own example.
        if not any(command == "train" and word in words for command, *words in examples(path)):
            assert_plain(compose("train", [word, *extra.get(name_of(path), [])])[0])


def test_defaults_follow_what_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frozen, _ = compose("train", ["backbone=resnet18", "freeze=frozen"])
    full, _ = compose("train", ["backbone=resnet18"])
    scratch, _ = compose("train", ["backbone=resnet18", "backbone.weights=null"])
    solved, _ = compose("train", ["backbone=resnet18", "freeze=frozen", "optimizer=lbfgs"])
    assert solved["optimizer"] == frozen["optimizer"] != full["optimizer"]
    assert frozen["trainer"]["max_epochs"] == 2 * full["trainer"]["max_epochs"]
    assert scratch["optimizer"]["lr"] > full["optimizer"]["lr"]
    # A network that is not torchvision's, with weights and without.
    Path("source").mkdir()
    small, _ = compose("train", ["backbone.weights=source", "freeze=full"])
    assert [row["optimizer"]["lr"] for row in (full, scratch, small)] == [1e-4, 5e-4, 3e-4]
    assert [row["optimizer"]["head_lr"] for row in (full, scratch, small)] == [3e-3, 5e-4, 1e-2]
    assert compose("train", [])[0]["optimizer"] == scratch["optimizer"]
    # SGD's rates were not found to depend on the network.
    descended = [
        compose("train", ["optimizer=sgd", "freeze=full", *network])[0]["optimizer"]
        for network in (["backbone=resnet18"], ["backbone.weights=source"])
    ]
    assert [(node["lr"], node["head_lr"]) for node in descended] == [(1e-3, 1e-2)] * 2
    assert frozen["name"] == "resnet18-frozen"
    given, _ = compose(
        "train", ["backbone=resnet18", "freeze=frozen", "trainer.max_epochs=3", "optimizer.lr=0.5"]
    )
    assert (given["trainer"]["max_epochs"], given["optimizer"]["lr"]) == (3, 0.5)


def test_cross_validation_takes_what_training_takes() -> None:
    train, crossval = (known_keys(command, {}, [conf_dir()]) for command in ("train", "crossval"))
    assert {key: value for key, value in crossval.items() if key not in ("folds", "repeats")} == {
        # A cross-validation knows one domain.
        key: value
        for key, value in train.items()
        if key not in ("sweep", "test", "stop_after", "adapt", "target")
    }
    listed = [
        yaml.safe_load((conf_dir() / f"{command}.yaml").read_text())["defaults"]
        for command in ("train", "crossval")
    ]
    left = ({"sweep": None}, {"data@target": None}, {"adapt": "none"})
    assert [default for default in listed[0] if default not in left] == listed[1]


def test_a_users_recipe_may_not_invent_keys_of_ours(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    recipe = tmp_path / "experiment" / "mine.yaml"
    search = f"hydra.searchpath=[file://{tmp_path}]"
    recipe.write_text("# @package _global_\nnotes: for the paper\noptimizer:\n  lr: 0.5\n")
    config, _ = compose("train", ["experiment=mine", search])
    assert (config["notes"], config["optimizer"]["lr"]) == ("for the paper", 0.5)
    recipe.write_text("# @package _global_\noptimizer:\n  lrr: 0.5\n")
    keys._read.cache_clear()
    with pytest.raises(GraftError, match=r"unknown key optimizer.lrr; did you mean optimizer.lr\?"):
        compose("train", ["experiment=mine", search])


def test_the_run_folder_is_named_safely() -> None:
    _, hydra_cfg = compose("train", ["backbone=torchvision", "backbone.name=resnet34"])
    name = Path(hydra_cfg.run.dir).name
    assert "resnet34-full" in name
    assert len(name) <= 100
    assert all(character.isalnum() or character in "._-" for character in name)
    assert OmegaConf.select(hydra_cfg, "output_subdir") is None
