"""The source's head comes with torchvision's weights or with a bundle; what has none is told."""

import pytest
import torch
from torch import nn
from torchvision import models

from graft.backbones import Backbone, SourceHead, simple_cnn, source_network, torchvision_backbone
from graft.errors import GraftError
from graft.models import Bundle, HowTested, kept_head, linear, load_bundle, mlp, save_bundle
from graft.models.head import standardizes
from graft.models.source_head import source_head
from graft.processes.random_state import random_state


@pytest.fixture
def saved(tmp_path):
    """A bundle with a hidden layer in its head, in a run's folder."""
    torch.manual_seed(5)
    backbone, head = simple_cnn(image_size=16), mlp(84, 7)
    bundle = Bundle(backbone, head, list("abcdefg"), backbone.preprocessing, HowTested())
    node = {"_target_": "graft.backbones.simple_cnn", "image_size": 16, "weights": None}
    save_bundle(tmp_path / "model", bundle, {"backbone": node, "head": {"_target_": "graft.models.mlp"}})
    return bundle, tmp_path


def test_torchvisions_layers_come_with_its_weights(tmp_path):
    model = models.squeezenet1_0(num_classes=9).eval()
    file = tmp_path / "a.pth"
    torch.save(model.state_dict(), file)
    backbone = torchvision_backbone("squeezenet1_0", weights=str(file)).eval()
    generator = random_state()["torch"]
    head = source_head(backbone, str(file))
    assert torch.equal(random_state()["torch"], generator)
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(source_network(backbone, head)(images), model(images))
    assert all(parameter.requires_grad for parameter in head.layers.parameters())
    with torch.no_grad():
        head.layers[0].weight.zero_()
    assert backbone.source_head.layers[0].weight.any()


def test_a_users_backbone_may_bring_its_own():
    stages = {"only": nn.Flatten()}
    given = nn.Sequential(nn.Linear(12, 4), nn.Tanh())
    backbone = Backbone(stages, 12, simple_cnn().preprocessing, source_head=SourceHead(given))
    head, features = source_head(backbone, None), torch.randn(2, 12)
    assert torch.equal(head.layers(features), given(features))
    assert head.sources(12) == 4
    assert not backbone.state_dict()


@pytest.mark.parametrize("inner", ["", "model"])
def test_a_bundles_own_head_serves(saved, inner):
    bundle, folder = saved
    backbone = simple_cnn(weights=str(folder / inner), image_size=16)
    generator = random_state()["torch"]
    head = source_head(backbone, str(folder / inner)).layers.eval()
    assert torch.equal(random_state()["torch"], generator)
    images = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(head(backbone.eval()(images)), bundle.model(images))


def test_without_a_head_it_says_what_has_one(tmp_path):
    message = r"^regularizer=co_tuning asks the head .*weights=.*a\.pth has none that is one layer; give"
    torch.save(simple_cnn().state_dict() | {"head.weight": torch.ones(3, 84)}, tmp_path / "a.pth")
    with pytest.raises(GraftError, match=message) as caught:
        source_head(simple_cnn(weights=str(tmp_path / "a.pth")), str(tmp_path / "a.pth"))
    assert "\n" not in str(caught.value)


def test_anothers_head_is_not_run(saved):
    folder = saved[1]
    description = folder / "model" / "model.yaml"
    description.write_text(description.read_text().replace("graft.models.mlp", "mypkg.head"))
    message = r"^regularizer=co_tuning cannot take the source's head: .*mypkg\.head, which is not trusted$"
    with pytest.raises(GraftError, match=message):
        source_head(simple_cnn(image_size=16), str(folder))


def test_the_linear_head_of_a_run_keeps_its_normalisation(tmp_path):
    backbone, head = simple_cnn(image_size=16), linear(84, 3)
    bundle = Bundle(backbone, head, list("abc"), backbone.preprocessing, HowTested())
    node = {"_target_": "graft.backbones.simple_cnn", "image_size": 16, "weights": None}
    save_bundle(tmp_path, bundle, {"backbone": node, "head": {"_target_": "graft.models.linear"}})
    found = source_head(simple_cnn(weights=str(tmp_path), image_size=16), str(tmp_path)).layers
    assert [type(layer) for layer in found] == [nn.LayerNorm, nn.Linear]


@pytest.fixture
def solved(tmp_path):
    """A bundle whose head standardises, as a solved one does."""
    torch.manual_seed(6)
    backbone, head = simple_cnn(image_size=16), linear(84, 3, standardize=True)
    head[1].fit(torch.randn(50, 84) * 3 + 1)
    bundle = Bundle(backbone, head, list("abc"), backbone.preprocessing, HowTested())
    node = {"_target_": "graft.backbones.simple_cnn", "image_size": 16, "weights": None}
    of_head = {"_target_": "graft.models.linear", "normalize": True, "bias": True, "standardize": True}
    save_bundle(tmp_path / "solved", bundle, {"backbone": node, "head": of_head})
    return bundle, tmp_path / "solved"


def test_a_kept_head_gives_the_same_logits_in_the_order_of_the_data(saved, solved):
    features = torch.randn(5, 84)
    for bundle, folder in (saved, solved):
        names = bundle.class_names
        turned = list(reversed(names))
        for asked in (names, turned):
            generator = random_state()["torch"]
            head = kept_head(84, asked, str(folder)).eval()
            assert torch.equal(random_state()["torch"], generator)
            expected = bundle.head(features)[:, [names.index(name) for name in asked]]
            torch.testing.assert_close(head(features), expected)


def test_a_kept_head_is_built_again_without_what_other_images_would_fit_anew(solved, tmp_path):
    bundle, folder = solved
    head = kept_head(84, list("cab"), str(folder))
    assert not standardizes(head)
    node = {"_target_": "graft.backbones.simple_cnn", "image_size": 16, "weights": None}
    kept = Bundle(bundle.backbone, head, list("cab"), bundle.preprocessing, HowTested())
    save_bundle(tmp_path / "again", kept, {"backbone": node, "head": {"_target_": "graft.models.kept_head"}})
    loaded, features = load_bundle(tmp_path / "again"), torch.randn(5, 84)
    torch.testing.assert_close(loaded.head(features), bundle.head(features)[:, [2, 0, 1]])


@pytest.mark.parametrize(
    ("width", "names", "said"),
    [
        (84, "abx", "whose classes are not the data's: c, x stand in one alone"),
        (84, "ab", "whose classes are not the data's: c stand in one alone"),
        (12, "abc", "which takes 84 features; the backbone gives 12"),
    ],
)
def test_a_head_that_does_not_fit_is_not_kept(solved, width, names, said):
    with pytest.raises(GraftError) as error:
        kept_head(width, list(names), str(solved[1]))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_of_weights_brings_no_head_to_keep(tmp_path):
    (tmp_path / "a.pth").touch()
    with pytest.raises(GraftError, match=r"a\.pth, which is no Graft run or bundle; give one"):
        kept_head(84, list("ab"), str(tmp_path / "a.pth"))
