"""Rows become standardised numbers with flags for blanks, and categories by number."""

import numpy as np
import pytest
import torch

from graft.backbones.columns import Category, Columns, Number
from graft.data import SampleError, evaluation_transform, row_samples, training_transform
from graft.data.row_transform import number_of
from graft.errors import GraftError

COLUMNS = Columns(
    (Number("age", 40.0, 8.0, 36.0, True), Number("height", 1.5, 0.5, 1.6, False)),
    (Category("town", (None, "bonn", "ulm")), Category("code", ("01", "7"))),
)


def prepared(**row):
    transform = evaluation_transform(COLUMNS)
    batch = transform.finish([transform.prepare(row)], None, np.zeros(1, int), np.zeros(1, int))
    return batch["numbers"][0].tolist(), batch["categories"][0].tolist()


def test_numbers_are_standardised_and_blanks_are_the_median_with_a_flag():
    assert prepared(age=48.0, height=1.0, town="ulm", code="01") == ([1.0, -1.0, 0.0], [3, 1])
    # The height's median stands for a blank that no training row had, without a flag.
    numbers, places = prepared(age=None, height=None, town=None, code=None)
    assert numbers == pytest.approx([-0.5, 0.2, 1.0])
    assert places == [1, 0]


def test_a_value_that_was_never_seen_is_unknown():
    assert prepared(age=40.0, height=1.5, town="Köln", code="08")[1] == [0, 0]


def test_numbers_and_texts_are_taken_for_each_other():
    assert prepared(age="48", height=" 1.5"[1:], town="bonn", code=7.0) == ([1.0, 0.0, 0.0], [2, 2])


def test_other_columns_do_not_matter():
    assert prepared(more=3.0, code="7", town="ulm", height=1.5, age=40.0) == ([0.0, 0.0, 0.0], [3, 2])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"age": "old"}, "'old' in column age is no number"),
        ({"Age": 3.0}, "there is no column age; did you mean Age?"),
        ({"age": 3.0, "height": 1.0, "twon": "ulm"}, "there is no column town; did you mean twon?"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(row, message):
    with pytest.raises(SampleError) as caught:
        prepared(**row)
    assert message in str(caught.value)


def test_what_is_far_out_stays_finite():
    numbers, _ = prepared(age=1e300, height=-1e300, town=None, code="7")
    assert np.isfinite(np.float32(numbers)).all()


def test_blanks_and_pictures_have_the_shape_of_inputs():
    transform = evaluation_transform(COLUMNS)
    blank = transform.blank(2)
    assert {name: (value.shape, value.dtype) for name, value in blank.items()} == {
        "numbers": ((2, 3), torch.float32),
        "categories": ((2, 2), torch.int64),
    }
    shown = transform.shown(blank)
    assert [(card.size, card.mode) for card in shown] == [((256, 256), "RGB")] * 2
    # Means are written, so a card is not white.
    assert np.asarray(shown[0]).min() == 0


def test_training_sees_rows_as_evaluation_does_and_alters_none():
    assert training_transform(COLUMNS, None, 0.0, None) == evaluation_transform(COLUMNS)
    for words in ((None, 0.5, None), ((0.5, 1.0), 0.0, None), (None, 0.0, None, 4)):
        with pytest.raises(
            GraftError, match=r"augment\..* alters images, and data has rows; give augment=none"
        ):
            training_transform(COLUMNS, *words)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1.0), ("-.5", -0.5), ("+3.", 3.0), ("1e3", 1000.0), ("1_0", None), ("nan", None), ("1e999", None)],
)
def test_a_text_is_a_number_as_people_write_them(text, number):
    assert number_of(text) == number


def test_samples_are_rows_whose_content_is_their_values():
    table = {"x": [1.0, None, 1.0], "town": ["ulm", "bonn", "ulm"]}
    samples = row_samples(["a", "b", "c"], [0, 1, 0], table)
    assert samples[1] == {"x": None, "town": "bonn"}
    assert samples.content(0) == samples.content(2) != samples.content(1)
    other = row_samples(["a"], [1], {"town": ["ulm"], "x": [1.0]})
    assert other.digest(0) == samples.digest(0)


def test_what_a_transform_has_seen_makes_no_other_key():
    fresh, used = evaluation_transform(COLUMNS), evaluation_transform(COLUMNS)
    used.prepare({"age": 1.0, "height": 1.0, "town": "ulm", "code": "7"})
    assert vars(fresh) == vars(used)
