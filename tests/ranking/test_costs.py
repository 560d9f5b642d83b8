"""Operations are those that are published, and counting and measuring leave the network as it was."""

import numpy as np
import pytest
import torch

from graft.backbones import simple_cnn, timm_backbone, torchvision_backbone
from graft.processes import timing
from graft.ranking import costs
from graft.ranking.costs import cost_of, costs_of_stages, images_per_second, macs


@pytest.mark.parametrize(
    ("name", "published"),
    # torchvision's figures, of the whole network; the head is a thousandth of each.
    [("resnet18", 1.814), ("squeezenet1_0", 0.819), ("mobilenet_v3_small", 0.057), ("vit_b_16", 17.56)],
)
def test_against_published_figures(name, published) -> None:
    found = macs(torchvision_backbone(name)) / 1e9
    head = 13 * 13 * 512 * 1000 / 1e9 if name == "squeezenet1_0" else 0
    assert found + head == pytest.approx(published, rel=0.03)


def test_a_network_counted_by_hand() -> None:
    expected = 28 * 28 * 6 * 75 + 10 * 10 * 16 * 150 + 400 * 120 + 120 * 84
    assert macs(simple_cnn()) == expected


def test_attention_is_counted_in_evaluation_mode_too() -> None:
    """The fused kernel, which torch takes there, is one that its counter does not know."""
    backbone = torchvision_backbone("vit_b_16").eval()
    without = sum(
        196 * 768 * 768
        for module in backbone.modules()
        if isinstance(module, torch.nn.MultiheadAttention)
        for _ in range(4)
    )
    assert macs(backbone) > without + 12 * 196 * 768 * 3072 * 2
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_query_that_is_a_parameter_is_counted() -> None:
    """Torch's counter asks what enters a module for its gradient, where it is a parameter."""
    pytest.importorskip("timm")
    assert macs(timm_backbone("pit_ti_224")) / 1e9 == pytest.approx(0.70, rel=0.1)


def test_the_network_stays_as_it_was(monkeypatch) -> None:
    monkeypatch.setattr(costs, "SECONDS", 0)
    backbone = torchvision_backbone("resnet18", image_size=64).train()
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    cost = cost_of(backbone, torch.device("cpu"), 2)
    assert backbone.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())
    assert cost.parameters == 11_176_512
    assert cost.images_per_second > 0


def test_the_first_batches_are_not_counted(monkeypatch) -> None:
    """T48: they are slow, and a single slow one later does not show either."""
    clock = iter(np.cumsum([0, 9, 0, 9, 0, 0.25, 0, 7, 0, 0.25]) * 10**9)
    monkeypatch.setattr(timing.time, "perf_counter_ns", lambda: int(next(clock)))
    # Each of the two is over as soon as it may be.
    monkeypatch.setattr(costs, "SECONDS", 0)
    assert images_per_second(simple_cnn(), 8) == 16


def test_the_last_stage_costs_what_all_do_and_each_no_less_than_the_one_before(monkeypatch) -> None:
    monkeypatch.setattr(costs, "SECONDS", 0)
    backbone = torchvision_backbone("resnet18", image_size=64)
    whole, device = cost_of(backbone, torch.device("cpu"), 2), torch.device("cpu")
    found = costs_of_stages(backbone, device, 2)
    assert found[-1][:2] == pytest.approx(whole[:2])
    assert [cost.parameters for cost in found[:2]] == [9536, 9536 + 147_968]
    speeds = [cost.images_per_second for cost in found]
    assert speeds == sorted(speeds, reverse=True)
    # A stem alone is many times as fast, wherever it is measured.
    assert speeds[0] > 2 * speeds[-1] > 0
