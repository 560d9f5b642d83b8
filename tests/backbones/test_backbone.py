"""What a backbone promises whatever it was made from: order, splits, and one place for each tensor."""

import pytest
import torch
from torch import nn

from graft.backbones import Backbone, Preprocessing, carve
from graft.errors import GraftError

PREPROCESSING = Preprocessing(8, 8)


class Classifier(nn.Module):
    """A model as a library might have it: loose layers, and a head in a Sequential."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(4, 10))


def stages_of(model):
    return {
        "stem": model.conv,
        "norm": nn.Sequential(model.norm, model.pool, nn.Flatten(), model.classifier[0]),
    }


def test_runs_its_stages_in_order_and_splits_anywhere():
    backbone = Backbone({"b": nn.Linear(3, 4), "a": nn.Linear(4, 5)}, 5, PREPROCESSING)
    x = torch.randn(2, 3)
    assert backbone.stage_names == ["b", "a"]
    assert len(backbone) == 2
    assert torch.equal(backbone(x), backbone.stages["a"](backbone.stages["b"](x)))
    assert torch.equal(backbone(x, stop=1), backbone.stages["b"](x))
    for k in range(3):
        assert torch.equal(backbone(backbone(x, stop=k), start=k), backbone(x))


def test_no_stages_are_refused():
    with pytest.raises(GraftError, match="at least one stage"):
        Backbone({}, 5, PREPROCESSING)


@pytest.mark.parametrize("shared", [nn.Linear(3, 3), nn.BatchNorm2d(3, affine=False)])
def test_a_tensor_in_two_stages_is_refused(shared):
    with pytest.raises(GraftError, match=r"stages\.a.* and stages\.b.* are one tensor"):
        Backbone({"a": shared, "b": nn.Sequential(shared)}, 3, PREPROCESSING)


def test_carving_holds_the_model_s_own_tensors_under_its_names():
    model = Classifier()
    backbone = carve(model, stages_of(model), "classifier.1", PREPROCESSING)
    theirs, ours = model.state_dict(keep_vars=True), backbone.state_dict(keep_vars=True)
    assert set(theirs) - set(backbone.source_names) == {"classifier.1.weight", "classifier.1.bias"}
    assert sorted(backbone.source_names.values()) == sorted(ours)
    assert all(theirs[source] is ours[own] for source, own in backbone.source_names.items())
    assert backbone.width == 4


def test_the_dropped_path_is_the_whole_head_that_keeps_nothing():
    model = Classifier()
    assert carve(model, stages_of(model), "classifier.1", PREPROCESSING).dropped == ("classifier",)
    model.classifier[0] = nn.Linear(4, 4)
    assert carve(model, stages_of(model), "classifier.1", PREPROCESSING).dropped == ("classifier.1",)


@pytest.mark.parametrize("left_out", ["stem", "norm"])
def test_a_forgotten_tensor_is_refused(left_out):
    model = Classifier()
    stages = {name: stage for name, stage in stages_of(model).items() if name != left_out}
    missed = {"stem": r"conv\.weight", "norm": r"norm\.weight"}[left_out]
    with pytest.raises(GraftError, match=f"no stage holds {missed}.* of Classifier"):
        carve(model, stages, "classifier.1", PREPROCESSING)


def test_a_forgotten_buffer_is_refused():
    model = Classifier()
    model.register_buffer("scale", torch.ones(1), persistent=False)
    with pytest.raises(GraftError, match="no stage holds scale"):
        carve(model, stages_of(model), "classifier.1", PREPROCESSING)
