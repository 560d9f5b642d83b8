"""Names of networks and weights are known from a list that costs no torch, and the list is the libraries'."""

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

from graft.composition.composing import compose
from graft.configuration import network_names
from graft.configuration.network_names import (
    LISTED,
    check_network,
    classifiers,
    hub_parts,
    networks,
    no_such_weights,
    usual_weights,
)
from graft.errors import GraftError

COMMIT = "0" * 40
HUB_NAME = f"hf-hub:somebody/net@{COMMIT}"
RESNET = "resnet18 has a1_in1k, a2_in1k, a3_in1k, fb_ssl_yfcc100m_ft_in1k, "


def words(library: str, name: str, *more: str) -> list[str]:
    return [f"backbone={library}", f"backbone.name={name}", *(f"backbone.weights={word}" for word in more)]


# What is typed, and what the answer begins and ends with.
WRONG = [
    # Near names, of the same library and of the other one.
    (words("torchvision", "resnet81"), "resnet81 is no classifier of torchvision's; did you mean resnet18?"),
    (words("torchvision", "ResNet18"), "ResNet18 is no classifier of torchvision's; did you mean resnet18?"),
    (words("timm", "resnet-18"), "resnet-18 is no classifier of timm's; did you mean resnet18?"),
    (words("timm", "resnet81.a1_in1k"), "a1_in1k is no classifier of timm's; did you mean resnet18?"),
    (words("torchvision", "xcit_nano"), "of torchvision's; did you mean timm's xcit_nano_12_p8_384?"),
    (words("torchvision", "qwertz"), "of torchvision's; graft list backbones shows what there is"),
    (words("timm", "qwertz"), "qwertz is no classifier of timm's; graft list backbones shows what there is"),
    # The exact name of the other one.
    (
        words("torchvision", "mobilevit_s"),
        "no classifier of torchvision's, but of timm's: backbone=timm backbone.name=mobilevit_s",
    ),
    (
        words("torchvision", "resnet18.a1_in1k"),
        "no classifier of torchvision's, but of timm's: backbone=timm backbone.name=resnet18.a1_in1k",
    ),
    (
        words("timm", "swin_t"),
        "no classifier of timm's, but of torchvision's: backbone=torchvision backbone.name=swin_t",
    ),
    # What is no image classifier.
    *(
        (words(library, name), f"{name} is a network for {task}; Graft takes image classifiers")
        for library in ("torchvision", "timm")
        for name, task in {
            "fasterrcnn_resnet50_fpn": "detection",
            "deeplabv3_resnet50": "segmentation",
            "r3d_18": "video",
            "raft_small": "optical flow",
            "quantized_resnet18": "quantization",
        }.items()
    ),
    # What another adapter takes.
    *(
        (words(library, name), f"{name} is a network for text: backbone=transformers backbone.name=")
        for library in ("torchvision", "timm")
        for name in ("bert-base-uncased", "gpt2", "Llama-3")
    ),
    # Names of the hub.
    (
        words("timm", "google/vit-base-patch16-224"),
        "no name of timm's; a repository of the hub is backbone=timm"
        " backbone.name=hf-hub:google/vit-base-patch16-224@commit",
    ),
    (
        words("torchvision", "a/b"),
        "no name of torchvision's; a repository of the hub is backbone=timm backbone.name=hf-hub:a/b@commit",
    ),
    (words("torchvision", HUB_NAME), "of torchvision's; a repository of the hub wants backbone=timm"),
    (words("timm", "hf-hub:a/b"), "it names no commit; give the 40 hexadecimal digits that the hub shows"),
    (
        words("timm", "hf-hub:a/b@main"),
        "main is no commit; give the 40 hexadecimal digits that the hub shows",
    ),
    (words("timm", "hf-hub:net"), "is not of the form hf-hub:owner/name@commit"),
    # Tags.
    (words("timm", "resnet18.a1_in2k"), f"a1_in2k is no tag of timm's; {RESNET}"),
    (words("timm", "resnet18.a1_in2k"), "; did you mean a1_in1k?"),
    (words("timm", "resnet18", "a1_in2k"), f"a1_in2k is no file and no tag of timm's; {RESNET}"),
    (words("timm", "resnet18", "IMAGENET1K_V1"), "IMAGENET1K_V1 is no file and no tag of timm's; resnet18"),
    (words("timm", "resnet18.hub"), "hub is no tag of timm's"),
    # What is missing, or no text.
    (["backbone=timm"], "backbone.name is missing; give backbone.name=…"),
    (["backbone=timm", "backbone.name=null"], "backbone.name=null is wrong: it must be a name"),
]
ANSWERED = """
import json, sys
from graft.composition.composing import compose
from graft.errors import GraftError
answers = []
for words in json.loads(sys.argv[1]):
    try:
        compose("train", words)
        answers.append("")
    except GraftError as error:
        answers.append(str(error))
print(json.dumps([answers, sorted({"torch", "torchvision", "timm", "huggingface_hub"} & set(sys.modules))]))
"""


@pytest.fixture(scope="module")
def answers() -> tuple[list[str], list[str]]:
    """What a process that has imported nothing answers, and which slow packages it imported for it."""
    command = [sys.executable, "-c", ANSWERED, json.dumps([typed for typed, _ in WRONG])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said, heavy = json.loads(done.stdout)
    return said, heavy


@pytest.mark.parametrize("place", range(len(WRONG)), ids=[" ".join(typed) for typed, _ in WRONG])
def test_a_wrong_name_is_answered(place: int, answers: tuple[list[str], list[str]]) -> None:
    said, expected = answers[0][place], WRONG[place][1]
    assert said.startswith("backbone.")
    assert "\n" not in said
    assert expected in said


def test_answers_cost_no_torch_and_no_timm(answers: tuple[list[str], list[str]]) -> None:
    assert answers[1] == []


@pytest.mark.parametrize(
    ("typed", "weights"),
    [
        (words("torchvision", "googlenet"), "IMAGENET1K_V1"),
        (words("timm", "resnet18"), "a1_in1k"),
        (words("timm", "resnet18.tv_in1k"), "tv_in1k"),
        (words("timm", "resnet18.tv_in1k", "null"), None),
        (words("timm", "resnet18", "tv_in1k"), "tv_in1k"),
        (words("timm", "resnet18", "a.pth"), "a.pth"),
        (words("timm", "resnet18", "runs/a"), "runs/a"),
        (words("timm", "resnet18", "https://a.b/c"), "https://a.b/c"),
        (words("timm", HUB_NAME), "hub"),
        (words("timm", HUB_NAME, "null"), None),
        (words("timm", "tf_efficientnet_lite0", "package"), "package"),
    ],
)
def test_right_names_pass(typed: list[str], weights: str | None) -> None:
    assert compose("train", typed)[0]["backbone"]["weights"] == weights


def test_what_is_there_by_that_name_is_a_path(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert no_such_weights("mine", "resnet18", ["a1_in1k"])
    (tmp_path / "mine").touch()
    assert no_such_weights("mine", "resnet18", ["a1_in1k"]) is None
    assert no_such_weights("mine", "resnet18", ["a1_in1k"], is_tag=True)


def test_parts_of_one_s_own_may_have_any_name() -> None:
    check_network({"_target_": "mypkg.network", "name": "qwertz", "weights": "a1"})
    check_network({"_target_": "graft.backbones.simple_cnn"})
    check_network({})


def test_usual_weights() -> None:
    assert usual_weights("resnet18") == "a1_in1k"
    assert usual_weights("resnet18.tv_in1k") == "tv_in1k"
    assert usual_weights(HUB_NAME) == "hub"
    bare = next(name for name, network in networks("timm").items() if not network.weights)
    with pytest.raises(GraftError, match=f"^backbone.name={bare}: timm has no weights of it; give "):
        usual_weights(bare)


def test_the_parts_of_a_hub_s_name() -> None:
    assert hub_parts(f"hf-hub:some-body/a_net.v1@{COMMIT}") == ("some-body/a_net.v1", COMMIT)


@pytest.mark.parametrize("other", ["99.0.0", None])
def test_another_version_of_a_library_may_have_other_names(
    other: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_names, "_installed", lambda library: other)
    node = {"_target_": "graft.backbones.timm_backbone", "weights": None}
    tag = node | {"name": "resnet18.new_in1k"}
    # Without the library, names alone are checked: its tags are for whoever has it to say.
    check_network(tag)
    if other is None:
        with pytest.raises(GraftError, match="no classifier of timm's"):
            check_network(node | {"name": "newnet_tiny"})
        with pytest.raises(GraftError, match="no classifier of timm's"):
            usual_weights("newnet_tiny")
    else:
        check_network(node | {"name": "newnet_tiny"})
        with pytest.raises(
            GraftError, match=r"is not listed, .* give backbone.weights=, a tag or a file, or null"
        ):
            usual_weights("newnet_tiny")
    # What is no classifier in one version is none in another.
    with pytest.raises(GraftError, match="a network for video"):
        check_network({"_target_": "graft.backbones.torchvision_backbone", "name": "s3d"})


def listed_is_installed(library: str) -> None:
    pytest.importorskip(library)
    if version(library).partition("+")[0] != LISTED[library]:
        pytest.skip(f"the list is of {library} {LISTED[library]}")


def test_the_list_is_torchvision_s() -> None:
    listed_is_installed("torchvision")
    from torchvision import models

    listed = networks("torchvision")
    files = {
        name: [entry.url.rpartition("/")[2] for entry in models.get_model_weights(name)] for name in listed
    }
    assert set(listed) == set(models.list_models())
    tasks = {"optical_flow": "optical flow"}
    for name, network in listed.items():
        # `torchvision.models.detection.faster_rcnn`, or `torchvision.models.resnet`.
        _, _, *within = models.get_model_builder(name).__module__.split(".")
        expected = tasks.get(within[0], within[0]) if len(within) > 1 else "classification"
        assert network.task == expected, name
        entries = [entry.name for entry in models.get_model_weights(name)]
        named = expected == "classification"
        assert list(network.weights) == (entries if named else []), name
        assert list(network.files) == (files[name] if named else []), name


def test_the_list_is_timm_s() -> None:
    listed_is_installed("timm")
    import timm

    listed = networks("timm")
    assert set(listed) == set(timm.list_models())
    assert {network.task for network in listed.values()} == {"classification"}
    assert classifiers("timm") == list(listed)
    tags: dict[str, set[str]] = {name: set() for name in listed}
    for name, _, tag in (word.partition(".") for word in timm.list_pretrained()):
        tags[name].add(tag)
    assert {name: set(network.weights) for name, network in listed.items()} == tags
    for name, network in listed.items():
        # The usual ones stand first.
        assert len(network.weights) == len(tags[name])
        assert not network.weights or network.weights[0] == timm.get_pretrained_cfg(name).tag


def test_the_numbers_in_the_list_are_numbers_of_networks() -> None:
    for library in ("graft", *LISTED):
        for network in networks(library).values():
            assert network.library == library
            numbers = [network.parameters, network.gmacs, network.image_size, network.megabytes]
            assert all(number is None or number > 0 for number in numbers)
            assert network.accuracy is None or 0 < network.accuracy < 100
            assert not network.name.startswith("hf-hub:")
    resnet = networks("torchvision")["resnet18"]
    assert (resnet.parameters, resnet.image_size, resnet.megabytes) == (11689512, 224, 44.661)
