"""Pictures of an inspection: right images in right rows, and no more than fit."""

import numpy as np
import pytest

from graft.data import SampleData, array_images
from graft.data.splits import from_lists
from graft.inspection import pictures
from graft.inspection.inspection import Inspection, inspect_images

COLOURS = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)


def inspected(classes: int, each: int, train: int | None = None) -> Inspection:
    """Images of 20 x 20, those of a class of one colour, and so copies of each other."""
    labels = np.repeat(np.arange(classes), each)
    pixels = np.broadcast_to(COLOURS[labels % 3][:, None, None], (len(labels), 20, 20, 3)).copy()
    names = [f"{i}" for i in range(len(labels))]
    data = SampleData([f"c$ {i}" for i in range(classes)], {"all": array_images(names, labels, pixels)})
    order = np.arange(len(labels))
    split = order if train is None else order[:train]
    return inspect_images(data, from_lists(data, {"train": split, "test": order[len(split) :]}, ""), None, 1)


def test_a_row_of_the_sheet_holds_its_class() -> None:
    figure = pictures.sheet(inspected(3, 5), samples=4, seed=0)
    shown = np.asarray(figure.axes[0].images[0].get_array())
    side = pictures.TILE + pictures.GAP
    assert shown.shape == (3 * side, 4 * side, 3)
    for row in range(3):
        for column in range(4):
            assert (shown[row * side + side // 2, column * side + side // 2] == COLOURS[row]).all()
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [r"c\$ 0", r"c\$ 1", r"c\$ 2"]
    figure.canvas.draw()


def test_what_a_class_lacks_is_white_and_many_classes_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "CLASSES", 2)
    figure = pictures.sheet(inspected(3, 1), samples=2, seed=0)
    shown = np.asarray(figure.axes[0].images[0].get_array())
    side = pictures.TILE + pictures.GAP
    assert shown.shape == (2 * side, 2 * side, 3)
    assert (shown[side // 2, side + side // 2] == 255).all()
    assert figure.get_suptitle() == "3 images of 3 classes; up to 2 of each, of the first 2 classes"


def test_copies_that_leak_are_shown_one_of_each_split_first() -> None:
    figure = pictures.copies(inspected(2, 5, train=8))
    assert figure is not None
    assert figure.get_suptitle() == "2 sets of copies, 1 of them across train, val and test"
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["same pixels\ntrain, c\\$ 1\n5", "\ntest, c\\$ 1\n8", "\ntrain, c\\$ 1\n6"]
    figure.canvas.draw()


def test_where_nothing_leaks_all_sets_are_shown_and_without_any_there_is_no_picture() -> None:
    figure = pictures.copies(inspected(2, 2))
    assert figure is not None
    assert figure.get_suptitle() == "2 sets of copies, 0 of them across train, val and test"
    assert sum(bool(axes.get_title()) for axes in figure.axes) == 4
    assert pictures.copies(inspected(3, 1)) is None
