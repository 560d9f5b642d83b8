"""Pictures of a run: augmented training images, the confusion matrix, learning curves."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from graft.configuration.plain_text import in_figure

# Above this many classes the cells of a confusion matrix are too small for numbers.
NUMBERED = 20


def image_grid(images: Sequence[Image.Image]) -> Tensor:
    """RGB images of one size, at least one, as one picture `(3, H', W')` with values from 0 to 1."""
    pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images])).permute(0, 3, 1, 2)
    grid: Tensor = make_grid(pixels / 255, nrow=8, pad_value=1.0)
    return grid


def picture_of(grid: Tensor, plural: str = "images") -> Figure:
    """A picture `(3, H, W)` of what `plural` names, as a figure."""
    height, width = grid.shape[1:]
    figure = Figure(figsize=(8, max(1.0, 8 * height / width)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(grid.permute(1, 2, 0).numpy())
    axes.set_axis_off()
    axes.set_title(f"Training {plural} as the network sees them, after augmentation")
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
    marked = None if best_epoch is None else best_epoch + 1
    figure = _loss_and_accuracy([(row["epoch"] + 1, row) for row in rows], marked, "tested epoch")
    for axes in figure.axes:
        axes.set_xlabel("epoch")
        axes.locator_params("x", integer=True)
    return figure


def penalty_curves(rows: Sequence[Mapping[str, float]], chosen: float) -> Figure:
    """Loss and accuracy of what a solved head was judged by, against its penalty; the chosen one marked."""
    figure = _loss_and_accuracy([(row["penalty"], row) for row in rows], chosen, "chosen")
    for axes in figure.axes:
        axes.set(xlabel="penalty of the head's weights", xscale="log")
    return figure


def _loss_and_accuracy(
    rows: Sequence[tuple[float, Mapping[str, float]]], marked: float | None, mark: str
) -> Figure:
    """Both of training and validation against the first of each row; a line where one of them is marked."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part, marker in (("train", "o"), ("val", "s")):
            points = [(x, row[f"{part}/{metric}"]) for x, row in rows if f"{part}/{metric}" in row]
            if points:
                axes.plot(*zip(*points, strict=True), marker=marker, markersize=3, label=part)
        if marked is not None:
            axes.axvline(marked, color="grey", linestyle=":", label=mark)
        axes.set_ylabel(metric)
        if axes.lines:
            axes.legend()
    return figure
