"""Classes with few images are named, and how many of them are known."""

import numpy as np
import pytest

from graft.advice.rare_classes import class_notes


def test_the_class_with_the_fewest_images_is_first_and_its_accuracy_is_out_of_fold():
    labels = np.repeat([0, 1, 2], [40, 4, 60])
    said = np.eye(3)[labels]
    # One of the rare class is taken for another, one was never judged.
    said[40] = [1, 0, 0]
    said[41] = np.nan
    notes = class_notes(labels, said, ["ant", "bee", "cat"])
    assert [(note.name, note.images, note.rare) for note in notes] == [
        ("bee", 4, True),
        ("ant", 40, False),
        ("cat", 60, False),
    ]
    assert (notes[0].judged, notes[0].right) == (3, 2)
    assert notes[0].low < 2 / 3 < notes[0].high
    assert notes[0].row()["accuracy"] == "0.667"
    assert notes[1].row()["high"] == "1.000"


@pytest.mark.parametrize(("counts", "rare"), [([20, 100, 300], [True, False, False]), ([9, 9], [True, True])])
def test_few_is_by_itself_and_beside_the_others(counts, rare):
    labels = np.repeat(np.arange(len(counts)), counts)
    names = [str(label) for label in range(len(counts))]
    notes = class_notes(labels, np.full((len(labels), len(counts)), np.nan), names)
    assert [note.rare for note in notes] == rare
    assert notes[0].row()["accuracy"] == ""
