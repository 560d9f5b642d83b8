"""The pictures show what they say and are drawn without a warning, for few classes and for many."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from graft.backbones import Preprocessing
from graft.data import evaluation_transform
from graft.reporting import pictures
from graft.runs.files import write_figure

pytestmark = pytest.mark.figures


def counted(classes):
    """A confusion matrix in which every cell is another number."""
    return torch.arange(classes * classes).reshape(classes, classes)


@pytest.mark.parametrize("classes", [2, 25, 100])
def test_a_confusion_matrix_is_drawn_for_any_number_of_classes(tmp_path, classes):
    names = [f"a rather long class name {index}" for index in range(classes)]
    figure = pictures.confusion_figure(counted(classes), names)
    write_figure(tmp_path / "figures" / "confusion.png", figure)
    with Image.open(tmp_path / "figures" / "confusion.png") as image:
        assert min(image.size) > 300
        assert max(image.size) < 4000
        assert len(image.convert("RGB").getcolors(1 << 24)) > 10


def test_rows_are_true_classes_coloured_by_their_share():
    figure = pictures.confusion_figure(torch.tensor([[3, 1], [0, 8]]), ["cat", "dog"])
    axes = figure.axes[0]
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0.0, 1.0]]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")
    assert axes.get_title() == "11 of 12 test images right"
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == ["cat", "dog"]
    texts = {text.get_position(): text.get_text() for text in axes.texts}
    assert texts == {(0, 0): "3", (1, 0): "1", (1, 1): "8"}


def test_numbers_can_be_read_on_their_colour():
    axes = pictures.confusion_figure(torch.tensor([[3, 1], [0, 8]]), ["cat", "dog"]).axes[0]
    for text in axes.texts:
        column, row = text.get_position()
        share = axes.images[0].get_array()[row, column]
        ground = np.mean(axes.images[0].cmap(share)[:3])
        assert abs(ground - np.mean(to_rgb(text.get_color()))) > 0.35


@pytest.mark.parametrize(
    ("classes", "numbered", "named"), [(20, True, True), (21, False, True), (61, False, False)]
)
def test_what_would_not_fit_is_left_out(classes, numbered, named):
    axes = pictures.confusion_figure(counted(classes), [f"c{i}" for i in range(classes)]).axes[0]
    assert bool(axes.texts) == numbered
    assert (axes.get_yticklabels()[-1].get_text() == f"c{classes - 1}") == named


def test_a_class_without_test_images_divides_by_nothing(tmp_path):
    figure = pictures.confusion_figure(torch.tensor([[2, 0], [0, 0]]), ["cat", "dog"])
    assert figure.axes[0].images[0].get_array().tolist() == [[1.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("count", [1, 8, 11])
def test_training_images_are_shown_as_they_were_before_normalising(tmp_path, count):
    preprocessing = Preprocessing(resize=16, crop=16, mean=(0.1, 0.5, 0.9), std=(0.2, 0.3, 0.4))
    original = torch.rand(count, 3, 16, 16)
    normalised = (original - torch.tensor(preprocessing.mean).view(3, 1, 1)) / torch.tensor(
        preprocessing.std
    ).view(3, 1, 1)
    grid = pictures.image_grid(evaluation_transform(preprocessing).shown(normalised))
    assert grid.shape[0] == 3
    assert 0 <= grid.min() <= grid.max() <= 1
    found = grid[:, 2:18, 2:18] if count > 1 else grid
    # To the nearest of 256 values.
    torch.testing.assert_close(found, original[0], atol=0.51 / 255, rtol=0)
    write_figure(tmp_path / "images.png", pictures.picture_of(grid))


def test_a_picture_holds_values_from_0_to_1_whatever_augmentation_made(tmp_path):
    transform = evaluation_transform(Preprocessing(resize=16, crop=16))
    grid = pictures.image_grid(transform.shown(torch.randn(4, 3, 16, 16) * 9))
    assert 0 <= grid.min() <= grid.max() <= 1


def points_of(axes):
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}


def test_curves_count_epochs_from_1_and_mark_the_tested_one(tmp_path):
    rows = [
        {"epoch": 0, "train/loss": 3.0, "val/loss": 2.5, "train/accuracy": 0.2, "val/accuracy": 0.3},
        {"epoch": 1, "train/loss": 2.0, "train/accuracy": 0.4},
        {"epoch": 2, "train/loss": 1.0, "val/loss": 1.5, "train/accuracy": 0.6, "val/accuracy": 0.5},
    ]
    figure = pictures.learning_curves(rows, best_epoch=2)
    write_figure(tmp_path / "curves.png", figure)
    loss, accuracy = map(points_of, figure.axes)
    assert loss["train"] == ([1, 2, 3], [3.0, 2.0, 1.0])
    assert loss["val"] == ([1, 3], [2.5, 1.5])
    assert accuracy["val"] == ([1, 3], [0.3, 0.5])
    assert loss["tested epoch"][0] == [3, 3]


def test_without_validation_there_is_no_curve_of_it():
    figure = pictures.learning_curves([{"epoch": 0, "train/loss": 3.0, "train/accuracy": 0.2}], None)
    assert [list(points_of(axes)) for axes in figure.axes] == [["train"], ["train"]]


def test_drawing_opens_no_window_and_keeps_no_figure():
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    pictures.confusion_figure(counted(3), ["a", "b", "c"])
    pictures.learning_curves([{"epoch": 0, "train/loss": 3.0, "train/accuracy": 0.2}], 0)
    assert plt.get_fignums() == before


def test_names_are_no_formulas(tmp_path):
    figure = pictures.confusion_figure(counted(3), ["$a^$", "5$ and 6$", "plain"])
    write_figure(tmp_path / "x.png", figure)
    assert (tmp_path / "x.png").stat().st_size > 1000


def test_no_epochs_are_no_curves(tmp_path):
    write_figure(tmp_path / "x.png", pictures.learning_curves([], None))
