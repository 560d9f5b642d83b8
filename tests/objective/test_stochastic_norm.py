"""StochNorm is BatchNorm at p=1, with standing statistics at p=0, and in evaluation always."""

import copy

import pytest
import torch
from torch import nn

from graft.errors import GraftError
from graft.objective import StochNorm


def converted(backbone, p):
    changed = copy.deepcopy(backbone)
    StochNorm(p).prepare(changed, nn.Identity())
    return changed


def gradients(model, images):
    out = model(images)
    out.square().sum().backward()
    return out.detach(), [p.grad for p in model.parameters()]


@pytest.mark.parametrize(("p", "training"), [(1.0, True), (0.0, False)])
def test_the_ends_are_batchnorm_and_standing_statistics(backbone, images, p, training):
    plain, changed = copy.deepcopy(backbone).train(training), converted(backbone, p).train()
    out, grads = gradients(plain, images)
    other, others = gradients(changed, images)
    torch.testing.assert_close(other, out)
    torch.testing.assert_close(others, grads)


def test_each_channel_is_one_or_the_other_and_a_seed_repeats_the_choice(backbone, images):
    ends = [converted(backbone, p).train().stages["stem"][:2](images) for p in (0.0, 1.0)]
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        found.append(converted(backbone, 0.5).train().stages["stem"][:2](images))
    assert torch.equal(*found)
    sides = [[torch.equal(found[0][:, c], end[:, c]) for c in range(4)] for end in ends]
    assert all(a != b for a, b in zip(*sides, strict=True))
    assert any(sides[0])
    assert any(sides[1])


def test_evaluation_names_and_parameters_are_those_of_batchnorm(backbone, images):
    plain = copy.deepcopy(backbone).eval()
    held = [id(p) for p in backbone.parameters()]
    StochNorm(0.5).prepare(backbone, nn.Identity())
    assert [id(p) for p in backbone.parameters()] == held
    assert torch.equal(backbone.eval()(images), plain(images))
    plain.load_state_dict(backbone.state_dict())
    assert list(plain.state_dict()) == list(backbone.state_dict())


def test_without_batchnorm_it_says_so():
    with pytest.raises(GraftError, match="needs a backbone with BatchNorm"):
        StochNorm().prepare(nn.Linear(2, 2), nn.Identity())
