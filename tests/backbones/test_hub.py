"""A repository of the Hub, at one commit, is a backbone: asked for once, and none of its code runs."""

import json
import shutil
import time

import pytest
import torch
from torch import nn

from graft.backbones import timm_backbone, transformers_backbone
from graft.backbones.encoder_origins import BESIDE, WEIGHTS
from graft.backbones.making import make_backbone
from graft.backbones.timm import timm_preprocessing
from graft.errors import GraftError
from graft.models import Bundle, HowTested, linear, load_bundle, save_bundle

timm = pytest.importorskip("timm")
constants = pytest.importorskip("huggingface_hub.constants")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "somebody/a-net"
NAME = f"hf-hub:{REPOSITORY}@{COMMIT}"


class Hub:
    """A hub on this machine, with one repository at one commit.

    Attributes:
        server: it.
        cache: the folder of the hub's cache.
    """

    def __init__(self, server, cache):
        self.server = server
        self.cache = cache

    def path(self, name, repository=REPOSITORY, revision=COMMIT):
        return f"/{repository}/resolve/{revision}/{name}"

    def publish(self, name, content, **where):
        path = self.path(name, **where)
        self.server.files[path] = content
        self.server.headers[path] = {"X-Repo-Commit": COMMIT, "ETag": f'"{hash((path, content)):x}"'}

    def publish_model(self, model, folder, safe=True, **changes):
        """What timm itself pushes of a model; keys of `config.json` as `changes` says."""
        timm.models.save_for_hf(model, folder, safe_serialization=safe)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changes}))
        for file in folder.iterdir():
            self.publish(file.name, file.read_bytes())
        for name in {"model.safetensors", "pytorch_model.bin"} - {file.name for file in folder.iterdir()}:
            self.lacks(name)

    def lacks(self, name):
        self.server.headers[self.path(name)] = {
            "X-Repo-Commit": COMMIT,
            "X-Error-Code": "EntryNotFound",
        }

    def asked(self):
        """What was asked for since the last time, but for whether the hub is there at all."""
        asked = [words for words in self.server.asked if "/resolve/" in words]
        self.server.asked.clear()
        return asked

    def forget(self):
        """Empty the cache."""
        shutil.rmtree(self.cache)


@pytest.fixture
def hub(server, tmp_path, monkeypatch):
    cache = tmp_path / "the hub's cache #1"
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    # No token, and no list of who calls, of the person's own.
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", str(tmp_path / "harnesses"))
    return Hub(server, cache)


@pytest.fixture
def net():
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=7).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.1, 0.1)
    return model


@pytest.fixture
def published(hub, net, tmp_path):
    hub.publish_model(net, tmp_path / "pushed")
    return hub


@torch.no_grad()
def features_of(model, side=96):
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    if isinstance(model, timm.models.ResNet | timm.models.VisionTransformer):
        return model.forward_head(model.forward_features(images), pre_logits=True)
    return model.eval()(images)


def refusal(name=NAME, weights="hub", **arguments):
    with pytest.raises(GraftError) as caught:
        timm_backbone(name, weights, **arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_repository_is_built_with_its_weights(published, net):
    backbone = timm_backbone(NAME, "hub")
    assert torch.equal(features_of(backbone), features_of(net))
    assert torch.equal(backbone.source_head.layers.weight, net.fc.weight)
    assert backbone.preprocessing.crop == net.pretrained_cfg["input_size"][-1]
    assert published.asked() == [
        f"{verb} {published.path(name)}"
        for name in ("config.json", "model.safetensors")
        for verb in ("HEAD", "GET")
    ]


def test_the_second_time_nothing_is_asked(published, net):
    timm_backbone(NAME, "hub")
    published.server.asked.clear()
    published.server.files.clear()
    assert torch.equal(features_of(timm_backbone(NAME, "hub")), features_of(net))
    assert published.server.asked == []


def test_without_weights_none_is_fetched(published, net):
    backbone = timm_backbone(NAME)
    assert backbone.width == net.num_features
    assert not torch.equal(features_of(backbone), features_of(net))
    assert not any("model" in words for words in published.asked())


def test_weights_may_be_a_file_instead(published, net, tmp_path):
    torch.save({"state_dict": net.state_dict()}, tmp_path / "a.pth")
    backbone = timm_backbone(NAME, str(tmp_path / "a.pth"))
    assert torch.equal(features_of(backbone), features_of(net))


def test_the_repository_s_own_preprocessing_is_taken(hub, net, tmp_path):
    settings = {**net.pretrained_cfg, "input_size": [3, 64, 64], "crop_pct": 0.9, "mean": [0.1, 0.2, 0.3]}
    settings |= {"crop_mode": "squash", "interpolation": "bicubic"}
    hub.publish_model(net, tmp_path / "pushed", pretrained_cfg=settings)
    found = timm_backbone(NAME, "hub").preprocessing
    assert (found.resize, found.crop, found.interpolation) == (71, 64, "bicubic")
    assert (found.mean, found.squash) == ((0.1, 0.2, 0.3), True)


def test_offline_what_is_cached_is_taken(published, net, monkeypatch):
    timm_backbone(NAME, "hub")
    published.server.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert torch.equal(features_of(timm_backbone(NAME, "hub")), features_of(net))
    assert published.server.asked == []


def test_offline_what_is_not_cached_is_refused(published, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    expected = f"backbone.name={NAME}: {REPOSITORY} is not in the hub's cache, and HF_HUB_OFFLINE is set"
    assert refusal() == expected
    assert published.server.asked == []


def test_without_network_it_is_one_line_within_seconds(hub, dead_address, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", dead_address)
    template = dead_address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    began = time.monotonic()
    message = refusal()
    assert time.monotonic() - began < 5
    assert message.startswith(f"backbone.name={NAME}: {REPOSITORY} is not in the hub's cache, and ")
    assert f"{dead_address} does not answer ([Errno 111] Connection refused)" in message
    assert message.endswith("; backbone.weights=<file> takes a copy, backbone.weights=null starts untrained")


def test_without_network_weights_are_one_line_too(published, dead_address, monkeypatch):
    timm_backbone(NAME)
    monkeypatch.setattr(constants, "ENDPOINT", dead_address)
    assert "does not answer" in refusal()
    assert timm_backbone(NAME).width > 0


def test_a_hub_that_is_out_of_order_is_not_taken_for_a_repository_without_the_file(published):
    for path in published.server.files:
        # As a gateway's own page: none of the hub's headers.
        published.server.headers[path] = {}
    message = refusal()
    assert message.startswith(f"backbone.name={NAME}: {REPOSITORY} cannot be had (")
    assert "no image classifier" not in message


def test_a_connection_that_breaks_off_is_one_line(published, monkeypatch):
    class TimedOut(Exception):
        """As the client of each version of the library has its own: no OSError."""

    def breaks(*arguments, **options):
        raise TimedOut("The read operation timed out\nonce more")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", breaks)
    assert refusal().endswith(f"{REPOSITORY} cannot be had (The read operation timed out)")


def test_a_repository_that_is_not_there(hub):
    for name in ("config.json", "model.safetensors"):
        hub.server.headers[hub.path(name)] = {"X-Error-Code": "RepoNotFound"}
    assert refusal().startswith(f"backbone.name={NAME}: {REPOSITORY} cannot be had (")


def test_a_commit_that_is_not_there(hub):
    hub.server.headers[hub.path("config.json")] = {"X-Error-Code": "RevisionNotFound"}
    assert refusal().startswith(f"backbone.name={NAME}: {REPOSITORY} cannot be had (")


@pytest.mark.parametrize("revision", ["", "@main", "@v1.0", f"@{COMMIT[:7]}", f"@{COMMIT.upper()}"])
def test_a_name_without_a_commit_is_refused_unasked(published, revision):
    message = refusal(f"hf-hub:{REPOSITORY}{revision}")
    said = f"{revision[1:]} is no commit" if revision else "it names no commit"
    assert message.startswith(f"backbone.name=hf-hub:{REPOSITORY}{revision}: {said}; give the 40 hex")
    assert published.server.asked == []


@pytest.mark.parametrize(
    "name", ["a-net", f"a-net@{COMMIT}", f"a/b/c@{COMMIT}", f"{REPOSITORY}@", f"@{COMMIT}"]
)
def test_what_is_no_repository_s_name_is_refused(hub, name):
    assert "is not of the form hf-hub:owner/name@commit" in refusal(f"hf-hub:{name}")


def test_a_network_for_text_is_refused(hub):
    hub.publish("config.json", json.dumps({"model_type": "bert", "hidden_size": 8}).encode())
    message = refusal()
    assert message.startswith(f"backbone.name={NAME} is no image classifier of timm's: ")
    assert message.endswith("; it is bert")


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"\xff\xfe", b"3", b"null", b'"x"', b'{"architecture": null}']
)
def test_a_config_that_is_none_is_refused(hub, content):
    hub.publish("config.json", content)
    assert "is no image classifier of timm's" in refusal()


def test_a_repository_without_a_config_is_refused(hub):
    hub.lacks("config.json")
    expected = f"backbone.name={NAME} is no image classifier of timm's: it has no config.json"
    # And the second time, when the hub's cache knows it.
    assert [refusal(), refusal()] == [expected, expected]


@pytest.mark.parametrize("name", ["no_such_net", "local-dir:/tmp", "hf-hub:other/net"])
def test_an_architecture_that_timm_has_not_is_refused(hub, net, tmp_path, name):
    hub.publish_model(net, tmp_path / "pushed", architecture=name)
    assert name in refusal()


def test_a_network_of_five_channels_is_refused(hub, tmp_path):
    model = timm.create_model("test_resnet", in_chans=5)
    hub.publish_model(model, tmp_path / "pushed")
    assert refusal() == f"backbone.name={NAME} takes images of 5 channels, and Graft's have 3"


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"crop_mode": "border"}, "pads its images to a square, which Graft does not"),
        ({"input_size": [3, 64, 96]}, "takes images of 64 x 96 px, and Graft's are square"),
    ],
)
def test_images_that_graft_does_not_make_are_refused(hub, net, tmp_path, settings, answer):
    hub.publish_model(net, tmp_path / "pushed", pretrained_cfg={**net.pretrained_cfg, **settings})
    assert refusal() == f"backbone.name={NAME} {answer}"


def test_a_repository_without_weights_is_refused(published):
    published.lacks("model.safetensors")
    del published.server.files[published.path("model.safetensors")]
    assert refusal() == f"backbone.name={NAME}: {REPOSITORY} has no weights of timm's"
    assert timm_backbone(NAME).width > 0


def test_a_repository_with_a_pickle_alone_works_the_second_time_unasked(hub, net, tmp_path, monkeypatch):
    hub.publish_model(net, tmp_path / "pushed", safe=False)
    assert torch.equal(features_of(timm_backbone(NAME, "hub")), features_of(net))
    hub.server.files.clear()
    hub.server.asked.clear()
    assert torch.equal(features_of(timm_backbone(NAME, "hub")), features_of(net))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert torch.equal(features_of(timm_backbone(NAME, "hub")), features_of(net))
    assert hub.server.asked == []


@pytest.mark.parametrize("new_format", [True, False])
def test_a_malicious_pickle_never_runs(hub, net, tmp_path, new_format, payload):
    marker, file = tmp_path / "marker", tmp_path / "pushed" / "pytorch_model.bin"
    hub.publish_model(net, file.parent, safe=False)
    torch.save({**net.state_dict(), "x": payload(marker)}, file, _use_new_zipfile_serialization=new_format)
    hub.publish(file.name, file.read_bytes())
    assert refusal().startswith(f"backbone.name={NAME}")
    assert not marker.exists()
    torch.load(file, weights_only=False)
    assert marker.exists(), "the payload must be one that works"


@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize("content", [b"<html>", b"", b"\x80\x02garbage", b"PK\x03\x04garbage"])
def test_damaged_weights_are_refused(hub, net, tmp_path, safe, content):
    hub.publish_model(net, tmp_path / "pushed", safe=safe)
    hub.publish("model.safetensors" if safe else "pytorch_model.bin", content)
    assert refusal().startswith(f"backbone.name={NAME}: ")


def test_weights_of_another_network_are_refused(hub, net, tmp_path):
    hub.publish_model(net, tmp_path / "pushed", architecture="resnet18")
    assert refusal().startswith(f"backbone.name={NAME}: ")


def bundled(folder, **settings):
    """A bundle of the backbone that a node with these settings builds."""
    node = {"_target_": "graft.backbones.timm_backbone", "name": NAME, "weights": "hub", **settings}
    backbone = make_backbone(node)
    bundle = Bundle(
        backbone, linear(backbone.width, 2, normalize=False), ["a", "b"], backbone.preprocessing, HowTested(4)
    )
    config = {"backbone": node, "head": {"_target_": "graft.models.linear", "normalize": False}}
    save_bundle(folder, bundle, config)
    return folder


def test_a_bundle_loads_without_the_hub(published, net, tmp_path, monkeypatch, dead_address):
    folder = bundled(tmp_path / "model")
    published.forget()
    published.server.files.clear()
    published.server.asked.clear()
    monkeypatch.setattr(constants, "ENDPOINT", dead_address)
    again = load_bundle(folder)
    assert torch.equal(features_of(again.backbone), features_of(net))
    assert again.preprocessing == timm_preprocessing(timm, net, "")
    assert published.server.asked == []


# What the hub says of a transformer of 64 px: the size alone, its constructor's argument as well, or that it
# interpolates its positions, for images that need not be of that size.
SIZES = {
    "alone": ({"dynamic_img_size": False}, {"fixed_input_size": True}, {}, 64),
    "as well": ({"dynamic_img_size": False}, {"fixed_input_size": True}, {"img_size": [64, 64]}, 64),
    "interpolated": ({}, {"fixed_input_size": False}, {"img_size": [64, 64]}, 80),
}


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("image_size", [None, 96])
def test_a_bundle_of_another_size_loads_without_the_hub(hub, tmp_path, kind, image_size):
    """A transformer's size is the repository's own, which its architecture's usual record does not say."""
    made, says, arguments, side = SIZES[kind]
    model = timm.create_model("test_vit", img_size=64, num_classes=0, **made).eval()
    settings = {**model.pretrained_cfg, "input_size": [3, side, side], "num_classes": 0, **says}
    hub.publish_model(model, tmp_path / "pushed", pretrained_cfg=settings, model_args={**made, **arguments})
    backbone = timm_backbone(NAME, "hub", image_size=image_size)
    side = image_size or side
    assert backbone.preprocessing.crop == side
    if image_size is None:
        assert torch.equal(features_of(backbone, side), features_of(model, side))
    folder = bundled(tmp_path / "model", image_size=image_size)
    hub.forget()
    hub.server.files.clear()
    again = load_bundle(folder).backbone
    assert again.preprocessing == backbone.preprocessing
    assert torch.equal(features_of(again, side), features_of(backbone, side))


def test_a_convolutional_network_takes_any_size(published, net):
    backbone = timm_backbone(NAME, "hub", image_size=64)
    assert backbone.preprocessing.crop == 64
    assert torch.equal(features_of(backbone, 64), features_of(net, 64))


def test_a_bundle_remembers_what_else_the_constructor_was_told(hub, tmp_path):
    theirs = {"class_token": False, "global_pool": "avg", "img_size": 160}
    model = timm.create_model("test_vit", **theirs)
    hub.publish_model(model, tmp_path / "pushed", model_args=theirs)
    folder = bundled(tmp_path / "model", weights=None, model_args={"init_values": 0.1})
    hub.forget()
    hub.server.files.clear()
    again = load_bundle(folder).backbone
    assert again.stages["block1"].ls1.gamma.shape == (64,)
    assert "stages.patches.model.cls_token" not in again.state_dict()


def test_a_bundle_is_built_again_with_as_many_classes(hub, net, tmp_path):
    """CAFormer's head has layers below its classifier, which it has not where there is none."""
    hub.publish_model(net, tmp_path / "pushed", model_args={})
    assert timm_backbone(NAME).rebuilt == {"name": "test_resnet", "model_args": {"num_classes": 7}}


@pytest.fixture
def pushed(hub, encoder):
    """A repository that holds a tiny BERT, whose branch is at the commit."""
    files = {file.name: file.read_bytes() for file in encoder("bert").iterdir()}
    for name, content in files.items():
        hub.publish(name, content)
    for name in {*BESIDE, *WEIGHTS} - set(files):
        hub.lacks(name)
    hub.publish("config.json", files["config.json"], revision="main")
    return hub


def test_an_encoder_is_fetched_once_and_stays_at_its_commit(pushed, encoder, monkeypatch):
    first = transformers_backbone(REPOSITORY)
    assert first.rebuilt["revision"] == COMMIT
    assert pushed.asked()
    again = transformers_backbone(REPOSITORY, COMMIT)
    assert not pushed.asked()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    offline = transformers_backbone(REPOSITORY)
    known = transformers_backbone(str(encoder("bert")))
    for other in (again, offline, known):
        states = zip(first.state_dict().values(), other.state_dict().values(), strict=True)
        assert all(torch.equal(one, two) for one, two in states)
        assert other.preprocessing == first.preprocessing


def test_an_encoder_that_cannot_be_had_is_one_line(hub, monkeypatch, dead_address):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(GraftError, match="HF_HUB_OFFLINE is set"):
        transformers_backbone(REPOSITORY)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", dead_address)
    with pytest.raises(GraftError, match=r"does not answer .*; backbone\.name=<folder> takes a copy"):
        transformers_backbone(REPOSITORY)
