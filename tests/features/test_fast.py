"""The fast prefix gives nearly what the exact one gives, and leaves that one alone."""

import pytest
import torch
from torch import nn

from graft.backbones import torchvision_backbone
from graft.features.fast import FastPrefix


def off_by(net, images, stop):
    with torch.no_grad():
        exact = net.eval()(images, stop=stop)
    found = FastPrefix(list(net.stages.values())[:stop])(images)
    assert found.dtype == torch.bfloat16
    return float((found.float() - exact).norm() / exact.norm())


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "squeezenet1_0", "resnet18"])
def test_it_is_about_a_percent_off(name):
    torch.manual_seed(0)
    net = torchvision_backbone(name)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            # As after training: folding must take the statistics in.
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    images = torch.randn(2, 3, 64, 64)
    assert 0 < off_by(net, images, len(net)) < 0.05
    assert 0 < off_by(net, images, 2) < 0.03


def test_norm_layers_are_folded_and_the_original_stays(backbone):
    net = backbone().train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    fast = FastPrefix(net.stages.values())
    kinds = [type(module) for stage in fast.stages for module in stage.modules()]
    assert nn.Conv2d in kinds
    assert nn.BatchNorm2d not in kinds
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert net.training
    # Dropout is off: the same twice.
    images = torch.randn(3, 3, 16, 16)
    assert torch.equal(fast(images), fast(images))


class Untraceable(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        return self.norm(x) if x.sum() > -1e9 else x


def test_what_cannot_be_traced_runs_as_it_is():
    fast = FastPrefix([Untraceable()])
    assert fast(torch.randn(2, 3, 4, 4)).shape == (2, 3, 4, 4)
