"""Several bundles as one: the mean of their probabilities, and all that any of them has seen."""

import pytest
import torch
from torch import nn

from graft.backbones.lenet import simple_cnn
from graft.errors import GraftError
from graft.models import Bundle, HowTested, linear
from graft.models.ensemble import ensemble
from graft.runs.seen import Seen


def bundle(
    seed: int, temperature: float, seen: Seen | None, names: tuple[str, ...] = ("a", "b", "c")
) -> Bundle:
    torch.manual_seed(seed)
    backbone = simple_cnn()
    head: nn.Module = linear(backbone.width, len(names))
    return Bundle(backbone, head, names, backbone.preprocessing, HowTested(), temperature, None, seen)


def test_probabilities_are_the_mean_of_calibrated_ones() -> None:
    members = [bundle(0, 1.0, None), bundle(1, 2.5, None), bundle(2, 0.5, None)]
    whole = ensemble(members, "run=x")
    images = torch.randn(5, 3, 32, 32)
    expected = torch.stack([member.probabilities(images).double() for member in members]).mean(0)
    torch.testing.assert_close(whole.probabilities(images).double(), expected, rtol=0, atol=1e-6)
    assert not whole.model.training


def test_what_one_has_seen_all_have_seen() -> None:
    seen = [Seen(frozenset({"x"}), frozenset({"y"})), Seen(frozenset({"y"}), frozenset({"z"}))]
    whole = ensemble([bundle(0, 1, seen[0]), bundle(1, 1, seen[1])], "run=x")
    assert whole.seen == Seen(frozenset({"x", "y"}), frozenset({"z"}))
    assert ensemble([bundle(0, 1, seen[0]), bundle(1, 1, None)], "run=x").seen is None


def test_other_classes_are_no_ensemble() -> None:
    with pytest.raises(GraftError, match="run=x: its models have other classes"):
        ensemble([bundle(0, 1, None), bundle(1, 1, None, ("a", "b"))], "run=x")
