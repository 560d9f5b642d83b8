"""Every CSV that is read is read whole, or refused by the line that is wrong."""

import pytest

from graft.errors import GraftError
from graft.runs.csv_rows import Rows
from graft.runs.files import read_csv


@pytest.fixture
def table(tmp_path):
    def table(content):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return table


def refused(path, *words):
    with pytest.raises(GraftError) as caught:
        read_csv(path)
    for word in (str(path), *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rows_and_the_lines_that_they_begin_in(table):
    path = table(b'\xef\xbb\xbfa, b\n1,"x\ny"\n\n2,z\r\n\xe9,\n')
    rows = Rows(path, "t")
    assert rows.columns == ["a", "b"]
    assert list(rows) == [(2, ["1", "x\ny"]), (5, ["2", "z"]), (6, ["\udce9", ""])]
    assert read_csv(path)[1] == {"a": "2", "b": "z"}
    assert read_csv(table("")) == []


def test_what_does_not_fit(table, tmp_path):
    refused(table("a,b\n1,2\n1,2,3\n"), "line 3", "3 cells, the header has 2 (a, b): '1', '2', '3'")
    refused(table("a,b\n1\n"), "line 2", "1 cell, the header has 2")
    refused(table('a,b\n1,2\n1,"2\n3,4\n'), "line 3", "a quote is left open")
    refused(table("a,b\n1,2\n\0\0,\0\n"), "line 3", "NUL")
    refused(tmp_path / "gone.csv", "cannot be opened")


def test_a_needed_column_that_is_named_twice(table):
    path = table("a,b,a\n1,2,3\n")
    with pytest.raises(GraftError, match="t: 2 columns are called a"):
        Rows(path, "t", ("a",))
    assert list(Rows(path, "t", ("b",))) == [(2, ["1", "2", "3"])]
