"""Only code that the user trusts is called when a configuration is read back from a run or bundle."""

from pathlib import Path

import pytest

from graft.building import build, check_trusted
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
        {"backbone": {"name": "${oc.env:HOME}"}},
    ],
)
def test_foreign_targets_are_refused(node: dict[str, object]) -> None:
    with pytest.raises(GraftError, match=r"not trusted|interpolation"):
        check_trusted(node, [], "model.yaml")


def test_the_user_extends_the_list() -> None:
    node = {"_target_": "mypkg.models.Net"}
    with pytest.raises(GraftError, match=r"add trust=\[mypkg\]"):
        check_trusted(node, [], "model.yaml")
    check_trusted(node, ["mypkg"], "model.yaml")
    with pytest.raises(GraftError):
        check_trusted({"_target_": "mypkgs.Net"}, ["mypkg"], "model.yaml")


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
