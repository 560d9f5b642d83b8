"""Co-tuning's term against its formula, for labels that are classes and for mixed ones."""

import pytest
import torch
from torch import nn

from graft.backbones import SourceHead
from graft.objective import CoTuning
from graft.objective.behaviour import outputs

RELATION = torch.tensor([[0.7, 0.2, 0.1, 0.0], [0.0, 0.5, 0.25, 0.25], [0.1, 0.1, 0.1, 0.7]])


@pytest.fixture
def co_tuning():
    torch.manual_seed(3)
    made = CoTuning(2.0)
    made.adopt(SourceHead(nn.Linear(6, 4)), width=6, classes=3)
    assert made.relation.shape == (3, 4)
    assert not made.relation.any()
    made.relation.copy_(RELATION)
    return made


def test_it_is_the_cross_entropy_to_the_row_of_each_label(co_tuning, backbone, images, labels):
    boundaries = outputs(backbone, images)
    said = co_tuning.source_head(boundaries[-1]).detach().softmax(1).log()
    expected = sum(float(-(RELATION[label] * row).sum()) for label, row in zip(labels, said, strict=True))
    term = co_tuning.term(images, boundaries, labels)
    assert float(term.detach()) == pytest.approx(2 * expected / 5, rel=1e-5)
    term.backward()
    assert all(p.grad.any() for p in (backbone.stages["stem"][0].weight, *co_tuning.parameters()))


def test_mixed_images_are_drawn_to_the_mixture_of_the_rows(co_tuning, backbone, images, labels):
    boundaries = [tensor.detach() for tensor in outputs(backbone, images)]
    others = labels.roll(1)
    first, second = (torch.nn.functional.one_hot(found, 3).float() for found in (labels, others))
    mixed = co_tuning.term(images, boundaries, 0.3 * first + 0.7 * second)
    apart = [co_tuning.term(images, boundaries, found) for found in (labels, others)]
    torch.testing.assert_close(mixed, 0.3 * apart[0] + 0.7 * apart[1])
    torch.testing.assert_close(co_tuning.term(images, boundaries, first), apart[0])


def test_at_the_relation_itself_it_has_no_gradient(co_tuning, images):
    # The cross-entropy is least where the head says the relation: there it is the rows' entropy.
    features, said = torch.eye(6)[:3], RELATION.clamp_min(1e-6)
    with torch.no_grad():
        co_tuning.source_head.bias.zero_()
        co_tuning.source_head.weight[:, :3] = said.log().T
    term = co_tuning.term(images, [features], torch.arange(3))
    term.backward()
    entropy = -(RELATION * said.log()).sum(1).mean()
    torch.testing.assert_close(term.detach(), 2 * entropy, rtol=1e-4, atol=1e-5)
    assert float(co_tuning.source_head.weight.grad.abs().max()) < 1e-5


def test_the_head_may_be_any_module_and_is_in_the_state(co_tuning):
    made = CoTuning()
    made.adopt(
        SourceHead(nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 5))), width=6, classes=2
    )
    assert made.relation.shape == (2, 5)
    assert made.source_head.training
    assert set(co_tuning.state_dict()) == {"relation", "source_head.weight", "source_head.bias"}


def test_a_head_of_maps_takes_what_enters_the_pooling_once(backbone, images, labels):
    """As SqueezeNet's, whose ReLU would not be the same behind the mean."""
    layers = nn.Sequential(nn.Conv2d(6, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    made = CoTuning(2.0)
    made.adopt(SourceHead(layers, replaces=2), width=6, classes=3)
    made.relation.copy_(RELATION)
    made.prepare(backbone, nn.Linear(6, 3))
    boundaries = outputs(backbone, images)
    with torch.no_grad():
        maps = backbone.stages["top"][0](boundaries[0])
        logits = layers(maps)
    term = made.term(images, boundaries, labels)
    expected = 2 * torch.nn.functional.cross_entropy(logits, RELATION[labels])
    torch.testing.assert_close(term.detach(), expected)
    term.backward()
    assert all(p.grad.any() for p in (backbone.stages["stem"][0].weight, *made.parameters()))
    # Nothing is held that the next batch does not bring anew.
    assert made.entering is None
    made.eval()
    outputs(backbone, images)
    assert made.entering is None
