"""What training rows say of their columns, and that it is read back as it was."""

import numpy as np
import pytest
import yaml

from graft.backbones.columns import Category, Columns, Number, learnt
from graft.backbones.preprocessings import read_preprocessing
from graft.errors import GraftError


def rows(**columns):
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def test_numbers_have_mean_deviation_and_median_of_those_that_are_there():
    columns, notes = learnt(rows(age=[1.0, 2.0, None, 9.0], height=[5.0, 6.0, 7.0, 8.0]))
    age, height = columns.numbers
    values = np.array([1.0, 2.0, 9.0])
    assert (age.mean, age.std, age.median, age.blanks) == (4.0, values.std(), 2.0, True)
    assert (height.mean, height.blanks) == (6.5, False)
    assert (columns.column_names, columns.flags, notes) == (["age", "height"], 1, [])


def test_categories_have_the_values_of_the_rows_and_a_blank_where_there_is_one():
    columns, _ = learnt(rows(town=["b", None, "a", "b"], tree=["fir", "oak", "fir", "oak"]))
    assert columns.categories == (Category("town", (None, "a", "b")), Category("tree", ("fir", "oak")))


def test_what_tells_no_row_from_another_is_left_out():
    columns, notes = learnt(rows(x=[1.0, 2.0], same=[3.5, 3.5], word=["a", "a"], nothing=[None, None]))
    assert columns.column_names == ["x"]
    assert notes == [
        "column same is always 3.5 in the training rows, and is left out",
        "column word is always a in the training rows, and is left out",
        "column nothing is blank in the training rows, and is left out",
    ]
    # A value that is there or not tells rows apart.
    kept, _ = learnt(rows(only=[3.5, None, 3.5], word=[None, "a", "a"]))
    assert kept.numbers == (Number("only", 3.5, 1.0, 3.5, True),)
    assert kept.categories == (Category("word", (None, "a")),)


def test_what_says_which_row_it_is_is_left_out():
    count = 30
    names = [f"customer {place}" for place in range(count)]
    numbers = [float(place) for place in range(100, 100 + 2 * count, 2)]
    prices = [place + 0.5 for place in range(count)]
    columns, notes = learnt(rows(name=names, number=numbers, price=prices))
    # A quantity may differ in every row.
    assert columns.column_names == ["price"]
    assert notes == [
        "warning: column name has another value in each of 30 training rows, such as customer 0, and is left "
        "out",
        "warning: column number counts the rows, from 100 to 158, and is left out",
    ]
    # Of a few rows nobody can tell.
    assert learnt(rows(name=names[:10], number=numbers[:10]))[1] == []
    # Nor do numbers with gaps count.
    assert learnt(rows(number=[7.0 * number for number in numbers]))[1] == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": [1.0, 1.0]}, "data: no column is left to learn from; column x is always 1"),
        ({"x": [1e300, -1e300]}, "data: column x has numbers up to 1e\\+300, which is too large"),
    ],
)
def test_what_cannot_be_learnt_is_refused(given, message):
    with pytest.raises(GraftError, match=message):
        learnt(rows(**given))


def test_columns_are_read_back_from_yaml_as_they_were():
    awkward = Columns(
        (Number("no", 1 / 3, 1e-17, 1e17, True), Number("2019", -0.0, 1.0, 0.5, False)),
        (Category("yes", (None, "null", "1", "no", "é", "~", "a: b")),),
    )
    text = yaml.safe_dump(awkward.to_dict())
    assert read_preprocessing(yaml.safe_load(text)) == awkward
    assert awkward.side == 2


@pytest.mark.parametrize(
    "values",
    [
        {"numbers": []},
        {"numbers": [], "categories": []},
        {"numbers": [], "categories": [], "text": []},
        {
            "numbers": [{"column": "x", "mean": 0.0, "std": 0.0, "median": 0.0, "blanks": False}],
            "categories": [],
        },
        {"numbers": [{"column": "x"}], "categories": []},
        {"numbers": [], "categories": [{"column": "x", "values": ["a"]}, {"column": "x", "values": ["a"]}]},
    ],
)
def test_damaged_columns_are_refused(values):
    with pytest.raises(GraftError, match="preprocessing"):
        Columns.from_dict(values)
