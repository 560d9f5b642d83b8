"""What is looked at in rows, and what is taken for one."""

import numpy as np
import pytest

from graft.backbones import Preprocessing
from graft.backbones.columns import Category, Columns
from graft.data import SampleError, row_samples
from graft.data.kinds import kind_of
from graft.data.row_kind import ROWS
from graft.errors import GraftError


def looks(**table):
    count = len(next(iter(table.values())))
    samples = row_samples([f"line {place + 2}" for place in range(count)], [0] * count, table)
    return samples.names, {place: ROWS.look(samples, place) for place in range(count)}


def test_a_row_is_a_mapping_in_which_what_people_write_for_nothing_is_blank():
    given = {
        "age": 3,
        "mass": np.float64(0.5),
        "who": " Ann ",
        "town": "N/A",
        "x": float("nan"),
        "y": None,
        7: True,
    }
    nothing = dict.fromkeys(("town", "x", "y"))
    assert ROWS.sample(given) == {"age": 3.0, "mass": 0.5, "who": "Ann", "7": "True", **nothing}
    with pytest.raises(SampleError, match="a str is no row; give a mapping of column to value"):
        ROWS.sample("age=3")


def test_equal_rows_are_copies():
    _, found = looks(x=[1.0, 1.0, 2.0], y=["a", "a", "a"])
    assert found[0].digest == found[1].digest != found[2].digest


def test_an_inspection_counts_columns_and_blanks():
    _, found = looks(x=[1.0, None, 2.0], y=["a", None, "b"], z=[None, None, None])
    assert ROWS.lines(list(found.values())) == [
        "columns: 1 of numbers, 1 of categories",
        "blank: 5 of 9 cells, in 3 rows",
    ]
    assert ROWS.summary(list(found.values()))["blanks"] == {"x": 1, "y": 1, "z": 3}
    assert [ROWS.columns(look) for look in (found[1], None)] == [{"blanks": 3}, {"blanks": ""}]


def test_columns_that_say_nothing_or_too_much_and_numbers_far_out_are_warned_of():
    count = 40
    far = [float(place % 7) for place in range(count)]
    far[5] = 9e6
    names, found = looks(
        far=far,
        key=[f"k{place}" for place in range(count)],
        same=["s"] * count,
        empty=[None] * 30 + [1.0, 2.0] * 5,
    )
    assert list(ROWS.warnings(names, found)) == [
        "column key has another value in each of 40 rows, such as k0, and is left out",
        "column same is always s in the rows, and is left out",
        "column far: 1 number lies far out of the range of the others, such as 9e+06 in line 7",
        "column empty is blank in 75% of the rows",
    ]
    assert list(ROWS.warnings(names, {})) == []


def test_a_card_shows_columns_and_how_many_more_there_are():
    few, many = ({f"c{place}": float(place) for place in range(count)} for count in (3, 30))
    assert ROWS.card(few).size == ROWS.card(many).size
    assert np.asarray(ROWS.card(many))[200:].min() == 0 < np.asarray(ROWS.card(few))[200:].min()


def test_a_backbone_of_another_kind_is_refused():
    columns = Columns((), (Category("x", ("a",)),))
    assert ROWS.suited(columns) is columns
    assert kind_of(columns) is ROWS
    with pytest.raises(GraftError, match="it takes images, and data has rows; give backbone=table_mlp"):
        ROWS.suited(Preprocessing(16, 16))
