"""DELTA is 0 at the source, sees the model move, and its reference stands still."""

import pytest
import torch

from graft.objective import Delta
from graft.objective.behaviour import outputs


def test_it_is_zero_at_the_source_and_grows_away_from_it(backbone, head, images, labels):
    delta = Delta(weight=0.5)
    delta.prepare(backbone, head)
    before = {key: value.clone() for key, value in delta.source.state_dict().items()}
    backbone.eval()
    assert delta.term(images, outputs(backbone, images), labels) == 0
    source = outputs(delta.source, images)
    with torch.no_grad():
        backbone.stages["top"][0].weight.add_(0.1)
    found = outputs(backbone, images)
    expected = 0.25 * float((found[1] - source[1]).detach().square().mean())
    assert float(delta.term(images, found, labels).detach()) == pytest.approx(expected, rel=1e-5)
    # Whatever mode the model is in, the reference evaluates and none of its statistics move.
    backbone.train()
    moving = outputs(backbone, images)
    expected = sum(
        0.25 * float((a - b).detach().square().mean()) for a, b in zip(moving, source, strict=True)
    )
    assert float(delta.term(images, moving, labels).detach()) == pytest.approx(expected, rel=1e-5)
    assert all(torch.equal(value, before[key]) for key, value in delta.source.state_dict().items())


def test_the_last_stages_and_those_that_train_count(backbone, head, images, labels):
    delta = Delta(weight=2.0, last=1)
    delta.prepare(backbone, head)
    moved = [tensor + 1 for tensor in outputs(backbone.eval(), images)]
    assert float(delta.term(images, moved, labels).detach()) == pytest.approx(1.0, rel=1e-5)
    assert delta.term(images, [tensor.detach() for tensor in moved], labels) == 0


def test_each_stage_counts_as_a_share_of_its_sources_mean_square(backbone, head, images, labels):
    delta = Delta(weight=2.0)
    delta.prepare(backbone, head)
    delta.squares.copy_(torch.tensor([4.0, 0.25]))
    moved = [tensor + 1 for tensor in outputs(backbone.eval(), images)]
    assert float(delta.term(images, moved, labels).detach()) == pytest.approx(1 / 4 + 1 / 0.25, rel=1e-5)


def test_a_checkpoint_from_before_the_shares_goes_on_without_them(backbone, head):
    delta = Delta()
    delta.prepare(backbone, head)
    assert set(delta.state_dict()) == {"squares"}
    delta.squares.copy_(torch.tensor([4.0, 0.25]))
    delta.load_state_dict({})
    assert delta.squares.tolist() == [1.0, 1.0]
