"""Pictures of a run: augmented training images, the confusion matrix, learning curves."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor
from torchvision.utils import make_grid

from graft.backbones import Preprocessing
from graft.configuration.plain_text import in_figure

# Above this many classes the cells of a confusion matrix are too small for numbers.
NUMBERED = 20


def image_grid(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Normalised images `(N, 3, H, W)` as one picture `(3, H', W')` with values from 0 to 1."""
    mean = torch.tensor(preprocessing.mean).view(3, 1, 1)
    std = torch.tensor(preprocessing.std).view(3, 1, 1)
    grid: Tensor = make_grid((images * std + mean).clamp(0, 1), nrow=8, pad_value=1.0)
    return grid


def picture_of(grid: Tensor) -> Figure:
    """A picture `(3, H, W)` as a figure."""
    height, width = grid.shape[1:]
    figure = Figure(figsize=(8, max(1.0, 8 * height / width)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(grid.permute(1, 2, 0).numpy())
    axes.set_axis_off()
    axes.set_title("Training images as the network sees them, after augmentation")
    return figure


def confusion_figure(confusion: ArrayLike, class_names: Sequence[str]) -> Figure:
    """A confusion matrix `(C, C)`, rows being true classes, coloured by the share of its row."""
    counts = np.asarray(confusion, np.float64)
    shares = counts / counts.sum(1, keepdims=True).clip(min=1)
    classes = len(class_names)
    side = min(16.0, 3.0 + 0.45 * classes)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(drawn, ax=axes, label="share of the true class")
    right, total = int(np.trace(counts)), int(counts.sum())
    axes.set(xlabel="predicted", ylabel="true", title=f"{right} of {total} test images right")
    if classes <= 60:
        names = [in_figure(name) for name in class_names]
        axes.set_xticks(range(classes), names, rotation=90 if classes > 4 else 0)
        axes.set_yticks(range(classes), names)
    if classes <= NUMBERED:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, f"{int(count)}", ha="center", va="center", color=colour)
    return figure


def learning_curves(rows: Sequence[Mapping[str, float]], best_epoch: int | None) -> Figure:
    """Loss and accuracy of training and validation against the epoch, the tested epoch marked."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part, marker in (("train", "o"), ("val", "s")):
            points = [
                (row["epoch"] + 1, row[f"{part}/{metric}"]) for row in rows if f"{part}/{metric}" in row
            ]
            if points:
                axes.plot(*zip(*points, strict=True), marker=marker, markersize=3, label=part)
        if best_epoch is not None:
            axes.axvline(best_epoch + 1, color="grey", linestyle=":", label="tested epoch")
        axes.set(xlabel="epoch", ylabel=metric)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if axes.lines:
            axes.legend()
    return figure


def penalty_curves(rows: Sequence[Mapping[str, float]], chosen: float) -> Figure:
    """Loss and accuracy of what a solved head was judged by, against its penalty; the chosen one marked."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    penalties = [row["penalty"] for row in rows]
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part, marker in (("train", "o"), ("val", "s")):
            if f"{part}/{metric}" in rows[0]:
                values = [row[f"{part}/{metric}"] for row in rows]
                axes.plot(penalties, values, marker=marker, markersize=3, label=part)
        axes.axvline(chosen, color="grey", linestyle=":", label="chosen")
        axes.set(xlabel="penalty of the head's weights", ylabel=metric, xscale="log")
        axes.legend()
    return figure
