"""Wrong labels come first, classes that look alike are named, and what cannot be judged is said."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from graft.data import SampleData, array_images
from graft.data.splits import from_lists
from graft.inspection import pictures
from graft.inspection.findings import find
from graft.inspection.inspection import Inspection, inspect_images
from graft.inspection.suspects import Confusion, suspects_of
from graft.inspection.tables import confused_rows, summary, suspect_rows
from graft.objective.out_of_fold import out_of_fold

# Of each of six images, what heads that it was no part of say; the second image is labelled otherwise.
SAID = np.array([[0.9, 0.1], [0.05, 0.95], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.4, 0.6]])
LABELS = np.array([0, 0, 0, 1, 1, 1])


def inspected(groups=None, pixels=None) -> Inspection:
    """Six images of two classes, train and val, and two more that test."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 256, (8, 20, 20, 3), dtype=np.uint8) if pixels is None else pixels
    names = [f"{i}.png" for i in range(8)]
    data = SampleData(["ant$", "bee"], {"all": array_images(names, [*LABELS, 0, 1], drawn)}, groups=groups)
    splits = from_lists(data, {"train": np.arange(4), "val": np.arange(4, 6), "test": np.arange(6, 8)}, "")
    return inspect_images(data, splits, None, 1)


def judged(said=SAID) -> Inspection:

    return replace(inspected(), suspects=suspects_of(LABELS, said, np.arange(6), "resnet18"))


def test_flipped_labels_come_first():
    values, labels = load_digits(return_X_y=True)
    features, true = torch.from_numpy(values[:500] / 16).float(), labels[:500]
    rng = np.random.default_rng(0)
    flipped = rng.choice(500, 40, replace=False)
    given = true.copy()
    given[flipped] = (given[flipped] + rng.integers(1, 10, 40)) % 10
    found = suspects_of(given, out_of_fold(features, given, 10), np.arange(500) + 7, "pixels")
    first = found.indices[:50] - 7
    assert np.isin(flipped, first).mean() >= 0.8
    # What cleanlab calls wrong mostly is, and what is suggested mostly is the truth.
    assert np.isin(found.indices[found.issue] - 7, flipped).mean() > 0.7
    assert (found.suggested == true[found.indices - 7]).mean() > 0.9
    assert (np.diff(found.quality) >= 0).all()
    clean = suspects_of(true, out_of_fold(features, true, 10), np.arange(500), "pixels")
    assert clean.issue.mean() < 0.02


def test_a_row_says_what_the_label_is_and_what_it_looks_like():
    first, second, *_ = suspect_rows(judged())
    assert first == {
        "rank": 1,
        "path": "1.png",
        "split": "train",
        "label": "ant$",
        "suggested": "bee",
        "quality": "0.050000",
        "p_label": "0.050000",
        "p_suggested": "0.950000",
        "issue": True,
    }
    assert (second["path"], second["split"], second["issue"]) == ("5.png", "val", False)


def test_findings_name_the_first_and_the_classes_that_are_confused():
    inspection = judged()
    warning = next(finding for finding in find(inspection) if "look" in finding.text)
    assert warning.kind == "warning"
    assert warning.text == (
        "1 of 6 labels of train and val looks wrong to resnet18, which knows 83.3% of these images by the "
        "others, such as 1.png, labelled ant$, which looks like bee; see suspects.png"
    )
    texts = [finding.text for finding in find(inspection)]
    assert "most confused by resnet18: 1 of 3 images of ant$ look like bee" in texts
    assert list(confused_rows(inspection)) == [{"class": "ant$", "called": "bee", "images": 1, "of": 3}]
    assert summary(inspection, [])["labels"]["suspect"] == 1
    right = judged(np.eye(2)[LABELS] * 0.8 + 0.1)
    assert "none of 6 labels" in " ".join(finding.text for finding in find(right))
    # Nothing of it where no backbone was asked.
    assert "labels" not in summary(inspected(), [])


def test_an_image_that_nothing_judges_is_left_out_and_told():
    said = SAID.copy()
    said[5] = np.nan
    found = suspects_of(LABELS, said, np.arange(6), "resnet18")
    assert sorted(found.indices) == [0, 1, 2, 3, 4]
    assert found.reason == "1 of 6 images of train and val cannot be judged by the others"
    nothing = judged(np.full((6, 2), np.nan))
    assert "labels: 6 of 6 images of train and val cannot be judged by the others" in [
        finding.text for finding in find(nothing)
    ]
    assert pictures.suspects(nothing) is None


def test_confusions_are_in_order_and_classes_without_images_do_no_harm():
    labels = np.array([0, 0, 0, 2, 2, 2, 2])
    said = np.eye(4)[[2, 2, 0, 0, 2, 2, 2]] * 0.9 + 0.025
    found = suspects_of(labels, said, np.arange(7), "x")
    assert found.confusions == [Confusion(0, 2, 2, 3), Confusion(2, 0, 1, 4)]


def test_groups_and_equal_pixels_belong_together():
    assert inspected().belonging(np.arange(6)) is None
    pixels = np.random.default_rng(0).integers(0, 256, (8, 20, 20, 3), dtype=np.uint8)
    pixels[4] = pixels[0]
    alone = inspected(pixels=pixels).belonging(np.arange(1, 6))
    assert len(set(alone)) == 5
    copies = inspected(pixels=pixels).belonging(np.arange(6))
    assert copies[0] == copies[4]
    assert len(set(copies)) == 5
    groups = inspected(groups=list("aabbccdd"), pixels=pixels).belonging(np.arange(6))
    assert groups.tolist() == [groups[0]] * 2 + [groups[2]] * 2 + [groups[0]] * 2
    assert groups[0] != groups[2]


@pytest.mark.figures
def test_the_picture_shows_the_most_suspect_first():
    figure = pictures.suspects(judged())
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "1.png\nant\\$ → bee\nsuspect, p 0.05 → 0.95"
    assert figure.get_suptitle().startswith("1 of 6 labels of train and val look wrong to resnet18")
    figure.canvas.draw()
    assert pictures.suspects(inspected()) is None
