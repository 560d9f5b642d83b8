"""Two sets of running statistics: each domain moves its own."""

import torch
from torch import nn

from graft.adaptation.statistics import TargetStatistics


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2))


def test_each_domain_moves_its_own_set() -> None:
    net = network()
    statistics = TargetStatistics(net)
    source, target = torch.randn(64, 4), torch.randn(64, 4) + 5
    net(source)
    of_source = net[1].running_mean.clone()
    with statistics.of_target():
        net(target)
        of_target = net[1].running_mean.clone()
    assert torch.equal(net[1].running_mean, of_source)
    assert not torch.allclose(of_source, of_target)
    statistics.exchange()
    assert torch.equal(net[1].running_mean, of_target)
    # Both are in the state, and neither layer is listed twice.
    assert set(statistics.state_dict()) == {
        f"sets.0.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")
    }


def test_a_layer_that_stands_still_stays_so() -> None:
    net = network()
    statistics = TargetStatistics(net)
    net[1].eval()
    assert statistics.moving() == []
    net[1].train()
    before = net[1].running_mean.clone()
    with statistics.still():
        net(torch.randn(8, 4))
    assert torch.equal(net[1].running_mean, before)
    assert net[1].training
