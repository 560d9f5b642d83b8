"""Only code that the user trusts is called when a configuration is read back from a run or bundle."""

from pathlib import Path

import pytest

from graft.configuration.building import build, check_trusted
from graft.errors import GraftError


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": "os.system", "command": "touch {marker}"},
        {"_target_": "torch.load", "f": "x.pth", "weights_only": False},
        {"_target_": "numpy.load", "file": "x.npy", "allow_pickle": True},
        {"head": {"deep": [{"_target_": "subprocess.run", "args": ["touch", "{marker}"]}]}},
        {"_target_": "graftier.evil"},
        {"_target_": "torch.hub.load"},
        # Names that begin like trusted ones and lead elsewhere.
        {"_target_": "graft.cli.console.os.system", "command": "touch {marker}"},
        {"_target_": "graft.data.module.torch.load", "f": "x.pth", "weights_only": False},
        {"_target_": "torch.nn.functional.torch.load", "f": "x.pth", "weights_only": False},
        {"_target_": "graft.models.bundle_files.write_yaml", "path": "x", "value": 1},
        {"_target_": "graft.configuration.building.build", "node": {"_target_": "torch.nn.ReLU"}, "key": "x"},
        {"backbone": {"name": "${oc.env:HOME}"}},
    ],
)
def test_foreign_targets_are_refused(node: dict[str, object]) -> None:
    with pytest.raises(GraftError, match=r"not trusted|cannot be had|interpolation"):
        check_trusted(node, [], "model.yaml")


@pytest.mark.parametrize("target", ["torch.nn.Linear", "graft.sources.image_folder", "graft.models.mlp"])
def test_what_runs_are_made_of_is_trusted(target: str) -> None:
    check_trusted({"_target_": target}, [], "model.yaml")


def test_the_user_extends_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("mine", "mine_too"):
        (tmp_path / f"{package}.py").write_text("import os\n\nclass Net:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(GraftError, match=r"add trust=\[mine\]"):
        check_trusted({"_target_": "mine.Net"}, [], "model.yaml")
    check_trusted({"_target_": "mine.Net"}, ["mine"], "model.yaml")
    for target in ("mine_too.Net", "mine.os.system"):
        with pytest.raises(GraftError, match="not trusted"):
            check_trusted({"_target_": target}, ["mine"], "model.yaml")
    with pytest.raises(GraftError, match="cannot be had"):
        check_trusted({"_target_": "mine.Gone"}, ["mine"], "model.yaml")


def refuses() -> None:
    raise GraftError("photos/: no images")


def test_an_error_of_ours_comes_through_hydra_unchanged() -> None:
    with pytest.raises(GraftError, match=r"^photos/: no images$"):
        build({"_target_": f"{__name__}.refuses"}, "data")


def test_a_wrong_argument_names_the_key() -> None:
    with pytest.raises(GraftError, match=r"^head: .*unexpected keyword argument 'depth'"):
        build({"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1, "depth": 2}, "head")


def test_a_missing_target_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(GraftError, match=r"^freeze: "):
        build({"_target_": "nowhere.Strategy"}, "freeze")
