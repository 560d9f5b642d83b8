"""Tables as people have them: delimiters, encodings, blanks, columns that are missing or mean others."""

import pytest

from graft.data.row_kind import ROWS
from graft.errors import GraftError
from graft.sources import find_rows, table_csv


@pytest.fixture
def table(tmp_path):
    """Write a file of some lines, and open it."""

    def table(*lines, encoding="utf-8", **settings):
        path = tmp_path / "table.csv"
        path.write_text("\n".join(lines) + "\n", encoding=encoding)
        return table_csv(str(path), **settings)

    return table


def test_numbers_categories_and_blanks(table):
    data = table("age,town,label", "31,Ulm,yes", ", ?,no", "NA,Bonn,yes", "4e1,-,no")
    assert (data.kind, data.class_names, list(data.parts)) == (ROWS, ["no", "yes"], ["all"])
    assert data.samples.names == ["line 2", "line 3", "line 4", "line 5"]
    assert [data.samples[place] for place in range(4)] == [
        {"age": 31.0, "town": "Ulm"},
        {"age": None, "town": None},
        {"age": None, "town": "Bonn"},
        {"age": 40.0, "town": None},
    ]
    assert data.samples.labels.tolist() == [1, 0, 1, 0]


def test_parts_groups_and_names(table):
    data = table(
        "who,x,split,group,class",
        "b,1,test,g,no",
        "a,2,train,h,yes",
        "c,3,training,h,no",
        label="class",
        id="who",
    )
    assert {part: samples.names for part, samples in data.parts.items()} == {
        "train": ["a", "c"],
        "test": ["b"],
    }
    assert data.groups == ["h", "h", "g"]
    assert data.samples[0] == {"x": 2.0}


def test_columns_may_be_called_otherwise_and_be_left_out(table):
    data = table(
        "x,y,fold,patient,kind",
        "1,2,dev,p,a",
        "2,3,train,q,b",
        label="kind",
        split="fold",
        group="patient",
        leave_out=["y"],
    )
    assert list(data.parts) == ["train", "val"]
    assert data.samples[0] == {"x": 2.0}


@pytest.mark.parametrize(
    ("lines", "row"),
    [
        (("x;y;label", "1,5;a,b;k", "2;c;l"), {"x": 1.5, "y": "a,b"}),
        (("x\ty\tlabel", "1.5\ta b\tk", "2\tc\tl"), {"x": 1.5, "y": "a b"}),
        (('x,y,label', '1.5,"a, b",k', "2,c,l"), {"x": 1.5, "y": "a, b"}),
        ((",x,label", "0,1.5,k", "1,2,l"), {"column 1": 0.0, "x": 1.5}),
    ],
)  # fmt: skip
def test_delimiters_are_recognised(table, lines, row):
    assert table(*lines).samples[0] == row


def test_encodings_are_recognised(table):
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        data = table("höhe,label", "3,ä", "4,ö", encoding=encoding)
        assert (data.class_names, data.samples[0]) == (["ä", "ö"], {"höhe": 3.0})


def test_codes_with_leading_zeros_are_categories_and_what_is_said_goes_before(table):
    lines = ("zip,n,z,label", "01234,0.5,1,a", "99999,0,2,b")
    assert table(*lines).samples[0] == {"zip": "01234", "n": 0.5, "z": 1.0}
    assert table(*lines, numbers=["zip"], categories=["z"]).samples[0] == {"zip": 1234.0, "n": 0.5, "z": "1"}


def test_a_column_of_numbers_with_one_word_is_told_of(table):
    lines = ["x,label", *(f"{place},{'ab'[place % 2]}" for place in range(9)), "twelve,a"]
    data = table(*lines)
    assert data.samples[0] == {"x": "0"}
    assert data.notes == [
        "warning: column x is taken for categories, though 9 of 10 values are numbers, because of 'twelve' "
        "in line 11"
    ]
    assert table(*lines, blanks=["twelve"]).samples[9] == {"x": None}
    with pytest.raises(GraftError, match=r"line 11: 'twelve' in column x is no number \(data.numbers\)"):
        table(*lines, numbers=["x"])


def test_rows_without_a_label_are_left_out(table):
    data = table("x,label", "1,a", "2,", "3,b", "4, ")
    assert data.samples.names == ["line 2", "line 4"]
    assert data.samples[1] == {"x": 3.0}
    assert data.notes == ["left out: 2 rows have no label, such as line 3"]


@pytest.mark.parametrize(
    ("lines", "settings", "message"),
    [
        (("x,lable", "1,a"), {}, "no column label (data.label); the columns are x, lable; did you mean"),
        (("x,label", "1,a"), {"leave_out": ["y"]}, "no column y (data.leave_out); the columns are x, label"),
        (("x,label", "1,a"), {"group": "patient"}, "no column patient (data.group)"),
        (("x,x,label", "1,2,a"), {}, "2 columns are called x; which is meant?"),
        (("label", "a", "b"), {}, "there is no column to learn from beside label"),
        (("x,label", "1,a", "1"), {}, "line 3: 1 cell, the header has 2"),
        (("x,label",), {}, "no rows found"),
        (("id,x,label", "p,1,a", "p,2,b"), {"id": "id"}, "line 3: p was listed before, in line 2"),
        (("x,group,label", "1,,a"), {}, "line 2: the group is empty"),
        (("x,split,label", "1,tset,a"), {}, "split 'tset' is none of train, val, test; did you mean test?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(table, lines, settings, message):
    with pytest.raises(GraftError) as caught:
        table(*lines, **settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rows_to_predict_need_no_label_and_are_read_as_those_of_the_run(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("zip;mass;town;kind;who;age\n01234;1,50;Ulm;a;Ann;3\n7;;NA;b;Bob;old\n")
    run = {"label": "kind", "id": "who", "categories": ["zip"], "numbers": ["age"], "blanks": ["na"]}
    assert find_rows(str(path), run) == (
        ["Ann", "Bob"],
        {"zip": ["01234", "7"], "mass": [1.5, None], "town": ["Ulm", None], "age": [3.0, "old"]},
        ["cells are divided by semicolons"],
    )
    # A bundle alone knows its columns by itself.
    names, table, _ = find_rows(str(path), {})
    assert (names, list(table)) == (["line 2", "line 3"], ["zip", "mass", "town", "kind", "who", "age"])
    path.write_text("zip;mass\n")
    with pytest.raises(GraftError, match="there are no rows below the header"):
        find_rows(str(path), {})
    with pytest.raises(GraftError, match="is no file; give a CSV of rows"):
        find_rows(str(tmp_path), {})
