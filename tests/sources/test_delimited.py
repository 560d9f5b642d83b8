"""CSV files as people have them."""

import pytest

from graft.errors import GraftError
from graft.sources.delimited import read_rows


@pytest.fixture
def read(tmp_path):
    def read(content, **settings):
        path = tmp_path / "a.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_rows(path, "data.file=a.csv", ["text", "label"], **settings)

    return read


def cells(found):
    return [row.cells for row in found.rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_say_themselves(read, encoding):
    found = read("text,label\ncafé,a\n".encode(encoding))
    assert cells(found) == [["text", "label"], ["café", "a"]]
    assert found.notes == []


@pytest.mark.parametrize(
    ("byte", "letter", "guess"), [(b"\x92", "’", "cp1252"), (b"\x81", "\x81", "latin-1")]
)
def test_what_is_no_utf_8_is_windows_with_a_warning(read, byte, letter, guess):
    found = read(b"text,label\nok,a\nit" + byte + b"s caf\xe9,b\n")
    assert cells(found)[2] == [f"it{letter}s café", "b"]
    said = (
        f"warning: line 3 is no UTF-8, so the file is read as {guess}; data.encoding=… says if it is another"
    )
    assert found.notes == [said]
    assert read(b"text,label\ncaf\x8e,b\n", encoding="mac-roman").rows[1].cells[0] == "café"


@pytest.mark.parametrize(("mark", "called"), [("\t", "tabulators"), (";", "semicolons"), ("|", "bars")])
def test_what_divides_cells_is_seen_by_the_header(read, mark, called):
    found = read(f"id{mark}text{mark}label\n1{mark}a, b{mark}x\n")
    assert cells(found)[1] == ["1", "a, b", "x"]
    assert found.notes == [f"cells are divided by {called}"]


def test_blank_lines_quotes_and_lines_in_a_cell(read):
    found = read('text,label\n\n"a ""b"", c\nd",x\n  ,\r\nit is 5" long,y\n')
    assert [(row.line, row.cells) for row in found.rows[1:]] == [
        (3, ['a "b", c\nd', "x"]),
        (6, ['it is 5" long', "y"]),
    ]


def test_quotes_that_do_not_pair_up_are_text(read):
    found = read('text\tlabel\n"open\ta\n"he said" no\tb\n')
    assert cells(found)[1:] == [['"open', "a"], ['"he said" no', "b"]]
    assert "quotes do not pair up" in found.notes[1]


def test_a_cell_of_100000_words(read):
    long = "word " * 100_000
    assert len(cells(read(f"text,label\n{long},a\n"))[1][0]) == 500_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text,label\na,b\nc, d,e\n", "line 3: 3 cells, the header has 2"),
        ('text,label\na,b\n"c,d, e\nf,g\n', "line 3: a quote is left open"),
        ("text,label\na\0,b\n", "line 2: holds a NUL byte; is it UTF-16"),
    ],
)
def test_the_line_that_is_wrong(read, content, words):
    with pytest.raises(GraftError, match=words) as caught:
        read(content)
    assert str(caught.value).startswith("data.file=a.csv")
    assert "\n" not in str(caught.value)


def test_encodings_that_are_none(read):
    with pytest.raises(GraftError, match=r"data.encoding=utf8x: Python knows no such"):
        read("text,label\n", encoding="utf8x")
    with pytest.raises(GraftError, match=r"is no text in data.encoding=ascii"):
        read("text,label\né,a\n", encoding="ascii")
