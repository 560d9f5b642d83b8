"""A second set of BatchNorm's running statistics, a target domain's, beside those of the source.

Domain-specific batch normalisation (Chang and others 2019, https://arxiv.org/abs/1906.03950) with the affine
parameters shared; AdaBN (Li and others 2016, https://arxiv.org/abs/1603.04779) takes the second set anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


class TargetStatistics(nn.Module):
    """The target's running statistics of each BatchNorm layer of a network; at first the network's own.

    Args:
        network: whose layers they are; it is no submodule.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        named = [(name, layer) for name, layer in network.named_modules() if _tracks(layer)]
        self.names = [name for name, _ in named]
        # In a tuple, so that they are no submodules.
        self._layers = tuple(layer for _, layer in named)
        self.sets = nn.ModuleList()
        for layer in self._layers:
            held = nn.Module()
            for name in BUFFERS:
                held.register_buffer(name, getattr(layer, name).clone())
            self.sets.append(held)

    def moving(self) -> list[nn.Module]:
        """The layers that normalise by the batch in the state that the network is in."""
        return [layer for layer in self._layers if layer.training]

    def exchange(self) -> None:
        """Give the network the set that it does not have, and keep the other."""
        for layer, held in zip(self._layers, self.sets, strict=True):
            for name in BUFFERS:
                layer._buffers[name], held._buffers[name] = held._buffers[name], layer._buffers[name]

    @contextmanager
    def of_target(self) -> Iterator[None]:
        """Within the block the network has the target's statistics, and moves those."""
        self.exchange()
        try:
            yield
        finally:
            self.exchange()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Within the block the network normalises by its running statistics, and none moves."""
        moving = self.moving()
        for layer in moving:
            layer.eval()
        try:
            yield
        finally:
            for layer in moving:
                layer.train()


def _tracks(layer: nn.Module) -> bool:
    return isinstance(layer, _BatchNorm) and layer.track_running_stats and layer.running_mean is not None
