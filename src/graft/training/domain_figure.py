"""A picture of two domains: what the backbone makes of some samples of each, before training and after it."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from graft.backbones import Backbone
from graft.backbones.inputs import moved
from graft.configuration.run_config import Node
from graft.data import SampleDataModule
from graft.data.samples import Indices
from graft.features.extraction import evaluating
from graft.processes.lightning import lone_trainer
from graft.reporting.figures import COLOURS

# Samples of each domain; more make a picture no clearer, and t-SNE slower.
MOST = 400
# Directions of largest variance that t-SNE starts from, as its authors do.
DIRECTIONS = 30
# Classes that a legend names.
NAMED = 12
UNKNOWN = "#bbbbbb"


class Shown(NamedTuple):
    """Features of some samples.

    Attributes:
        features: `(N, D)`, the source's and then the target's.
        target: `(N,)` whether a sample is the target's.
        indices: `(N,)` of each sample in its own domain.
    """

    features: NDArray[np.float32]
    target: NDArray[np.bool_]
    indices: Indices


def shown(backbone: Backbone, loading: SampleDataModule, trainer: Node) -> Shown:
    """What the backbone makes of some validation samples of both domains; else of training samples.

    As in evaluation, in this process alone. The backbone ends on the CPU, and no random stream moves.
    """
    assert loading.beside is not None
    device = lone_trainer(trainer["accelerator"], trainer["devices"]).strategy.root_device
    backbone.to(device)
    features, indices, counts = [], [], []
    with torch.no_grad(), evaluating(backbone):
        for domain in (loading, loading.beside):
            batches = domain.ordered_loader("val" if len(domain.splits["val"]) else "train")
            own = list(_some(batches, backbone, device))
            features += [tensor for tensor, _ in own]
            indices += [index for _, index in own]
            counts.append(sum(len(index) for _, index in own))
    backbone.cpu()
    target = np.repeat([False, True], counts)
    return Shown(np.concatenate(features), target, np.concatenate(indices))


def _some(
    batches: Iterable[Any], backbone: Backbone, device: torch.device
) -> Iterable[tuple[NDArray[np.float32], Indices]]:
    left = MOST
    for batch in batches:
        given = backbone(moved(batch["input"], device)).float().cpu().numpy()[:left]
        yield given, batch["index"].numpy()[:left]
        left -= len(given)
        if left <= 0:
            return


def domain_figure(
    before: Shown, after: Shown, source: Indices, target: Indices | None, class_names: list[str]
) -> Figure:
    """Four panels: before and after, each by domain and by class.

    Args:
        before: features.
        after: features of the same samples.
        source: classes of all source samples.
        target: classes of all target samples; None: they are drawn grey.
        class_names: of the numbers.
    """
    figure = Figure(figsize=(9, 8.4), layout="constrained")
    axes = figure.subplots(2, 2)
    for row, (when, some) in enumerate((("before training", before), ("after training", after))):
        places = _in_the_plane(some.features)
        classes = np.full(len(places), -1)
        classes[~some.target] = source[some.indices[~some.target]]
        if target is not None:
            classes[some.target] = target[some.indices[some.target]]
        _by_domain(axes[row][0], places, some.target)
        _by_class(axes[row][1], places, some.target, classes, class_names)
        for panel in axes[row]:
            panel.set(xticks=[], yticks=[])
        axes[row][0].set_title(f"{when}: by domain")
        axes[row][1].set_title(f"{when}: by class")
    figure.suptitle("What the backbone makes of source and target (t-SNE of its features)")
    return figure


def _in_the_plane(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(N, 2)`: t-SNE of standardised features' directions of largest variance."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    scaled = (features - features.mean(0)) / (features.std(0) + 1e-6)
    most = min(DIRECTIONS, *scaled.shape)
    directions = PCA(most, random_state=0).fit_transform(scaled)
    perplexity = min(30.0, (len(scaled) - 1) / 3)
    places: NDArray[np.float32] = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(
        directions
    )
    return places


def _by_domain(axes: Any, places: NDArray[np.float32], target: NDArray[np.bool_]) -> None:
    for name, of, colour, mark in (("source", ~target, COLOURS[0], "o"), ("target", target, COLOURS[1], "^")):
        axes.scatter(*places[of].T, s=10, color=colour, marker=mark, alpha=0.7, label=name, linewidths=0)
    axes.legend(loc="best")


def _by_class(
    axes: Any,
    places: NDArray[np.float32],
    target: NDArray[np.bool_],
    classes: Indices,
    class_names: list[str],
) -> None:
    palette = colormaps["tab10" if len(class_names) <= 10 else "turbo"]
    step = 1 if len(class_names) <= 10 else 1 / (len(class_names) - 1)
    for mark, domain in (("o", ~target), ("^", target)):
        unknown = domain & (classes < 0)
        axes.scatter(*places[unknown].T, s=10, color=UNKNOWN, marker=mark, alpha=0.7, linewidths=0)
        for number, name in enumerate(class_names):
            of = domain & (classes == number)
            label = name if mark == "o" and number < NAMED else None
            colour = palette(number if step == 1 else number * step)
            axes.scatter(*places[of].T, s=10, color=colour, marker=mark, alpha=0.7, label=label, linewidths=0)
    axes.legend(loc="best", fontsize="x-small", ncols=2)
