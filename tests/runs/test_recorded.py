"""A run's record is told in the words that people type, also when an older Graft wrote it."""

from pathlib import Path

import pytest
import yaml

from graft.composition.composing import compose
from graft.configuration.keys import conf_dir
from graft.runs import RunFolder
from graft.runs.recorded import option_of, recorded, swept

GROUPS = ("data", "augment", "mix", "backbone", "head", "freeze", "optimizer", "scheduler", "regularizer")
NEEDED = {
    "data=image_folder": ["data.root=x"],
    "data=csv": ["data.file=x"],
    "regularizer=l2_sp": ["optimizer.weight_decay=0"],
    "regularizer=co_tuning": ["backbone=resnet18"],
    "data=hf": ["data.name=x"],
    "head=source": ["backbone.weights=x"],
    "data=audio_csv": ["data.file=x"],
    "data=audio_folder": ["data.root=x"],
    "data=table_csv": ["data.file=x", "backbone=table_mlp"],
    "data=text_csv": ["data.file=x", "backbone=text_cnn"],
}
OPTIONS = [
    (group, path.stem)
    for group in GROUPS
    for path in sorted((conf_dir() / group).glob("[!_]*.yaml"))
    # Three have no network of their own, and one is one of the rest. Packaged ones are told by timm's name.
    if path.stem not in ("torchvision", "timm", "transformers", "auto") and "_lite" not in path.stem
]


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=map("=".join, OPTIONS))
def test_an_option_is_known_by_its_values(group: str, option: str) -> None:
    config, _ = compose("train", [f"{group}={option}", *NEEDED.get(f"{group}={option}", [])])
    assert option_of(group, config[group]) == option


def test_a_part_of_ones_own_has_the_name_of_what_it_builds() -> None:
    assert option_of("freeze", {"_target_": "mypkg.EveryOther"}) == "EveryOther"


def test_a_run_that_lacks_keys_of_today_is_told_by_what_it_has(tmp_path: Path) -> None:
    config, _ = compose("train", ["freeze=last_k", "freeze.k=2"])
    del config["cache"], config["head"]["standardize"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    flat = recorded(RunFolder(tmp_path))
    assert (flat["freeze"], flat["freeze.k"]) == ("last_k", 2)
    assert not {"cache.features", "head.standardize"} & set(flat)
    assert not any("_target_" in key for key in flat if key.split(".")[0] in GROUPS)


def test_what_a_sweep_varies_has_this_runs_values(tmp_path: Path) -> None:
    words = ["data=digits", "freeze=frozen,full", "optimizer.lr=1e-3,1e30", "seed=range(3)"]
    sweep = {"hydra": {"overrides": {"task": words}, "sweeper": {"params": {"+head.dropout": "0.1,0.2"}}}}
    (tmp_path / "multirun.yaml").write_text(yaml.safe_dump(sweep))
    job = RunFolder(tmp_path / "0-job")
    job.path.mkdir()
    own = ["+head.dropout=0.1", "data=digits", "freeze=frozen", "optimizer.lr=1e30", "seed=2"]
    job.overrides.write_text(yaml.safe_dump(own))
    varied = {"head.dropout": 0.1, "freeze": "frozen", "optimizer.lr": 1e30, "seed": 2}
    assert swept(job) == varied
    # What sweeps leave since they can go on.
    (tmp_path / "multirun.yaml").unlink()
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({"words": ["+head.dropout=0.1,0.2", *words]}))
    assert swept(job) == varied


def test_a_run_by_itself_swept_nothing(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    assert swept(RunFolder(tmp_path / "a/b/c")) is None
