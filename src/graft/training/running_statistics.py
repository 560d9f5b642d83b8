"""BatchNorm's running statistics of weights that never trained as they are: averages and mixtures."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from graft.objective.stochastic_norm import StochasticBatchNorm2d
from graft.processes import collectives
from graft.training.module import Batch

# Images that statistics are taken from where nothing else is asked for: more of them change little.
MOST = 10_000


def moving(network: nn.Module) -> list[str]:
    """The names of the layers whose running statistics move in the state that the network is in."""
    return [
        name
        for name, layer in network.named_modules()
        if isinstance(layer, _BatchNorm) and layer.training and layer.track_running_stats
    ]


def take_statistics(
    network: nn.Module, names: Sequence[str], batches: Iterable[Batch], run: Callable[[Batch], object]
) -> None:
    """Take the running statistics of the layers of these names anew: the mean of what each batch gives.

    The batches are of training images, shuffled; `run` takes one through the network. That is in evaluation
    mode meanwhile, and afterwards, but for these layers. All processes must call this, each with its share of
    the batches, and all have the same statistics after it.
    """
    network.eval()
    layers = [network.get_submodule(name) for name in names]
    chances = [(layer, layer.p) for layer in layers if isinstance(layer, StochasticBatchNorm2d)]
    for stochastic, _ in chances:
        # All channels by the batch: there are no running statistics yet that others could go by.
        stochastic.p = 1.0
    with torch.no_grad():
        update_bn(batches, _Layers(layers, run))
    network.eval()
    for stochastic, chance in chances:
        stochastic.p = chance
    for layer in layers:
        assert isinstance(layer, _BatchNorm)
        for statistic in (layer.running_mean, layer.running_var):
            assert statistic is not None
            statistic.copy_(collectives.summed(statistic) / collectives.size())


def first(batches: Iterable[Batch], images: int) -> Iterator[Batch]:
    """So many batches as hold that many images, over all processes."""
    for batch in batches:
        yield batch
        images -= len(batch["target"]) * collectives.size()
        if images <= 0:
            return


class _Layers(nn.ModuleList):
    """What `update_bn` takes for a network, so that it changes these layers alone."""

    def __init__(self, layers: Iterable[nn.Module], run: Callable[[Batch], object]) -> None:
        super().__init__(layers)
        self.run = run

    def forward(self, batch: Batch) -> None:
        self.run(batch)
