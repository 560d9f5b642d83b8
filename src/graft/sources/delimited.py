"""CSV files as people have them: their encoding, what divides the cells, and quotes. Imports no torch."""

import codecs
import csv
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from graft.errors import GraftError
from graft.runs.csv_rows import Row, misfit

DELIMITERS = (",", "\t", ";", "|")
_CALLED = {",": "commas", "\t": "tabulators", ";": "semicolons", "|": "bars"}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Delimited(NamedTuple):
    """A file's rows.

    Attributes:
        rows: none of them blank; each with its line.
        notes: how it was read, where that is not as a CSV in UTF-8 is read.
        delimiter: what divides its cells.
    """

    rows: list[Row]
    notes: list[str]
    delimiter: str


def read_text(path: Path, source: str, encoding: str | None = None) -> tuple[str, list[str]]:
    """A text file in the encoding that is given, else in the one that its bytes show.

    That is UTF-8, or UTF-16 with its mark; what is neither is read as Windows' cp1252, which holds all of
    Latin-1's letters, and a note says so.

    Args:
        path: the file.
        source: names it in messages.
        encoding: Python's name of it; None: found out.

    Returns:
        The text, without a byte order mark, and notes.

    Raises:
        GraftError: it cannot be opened, it is no text in that encoding, or there is no such encoding.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GraftError(f"{source}: cannot be opened ({error.strerror})") from error
    if encoding is not None:
        try:
            return _whole(codecs.decode(content, encoding), source), []
        except LookupError as error:
            raise GraftError(f"data.encoding={encoding}: Python knows no such encoding") from error
        except UnicodeError as error:
            raise GraftError(f"{source}: is no text in data.encoding={encoding} ({error})") from error
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return _whole(content.decode(marked), source), []
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    for guess in ("cp1252", "latin-1"):
        try:
            text = content.decode(guess)
        except UnicodeDecodeError:
            continue
        said = (
            f"line {line} is no UTF-8, so the file is read as {guess}; data.encoding=… says if it is another"
        )
        return _whole(text, source), [f"warning: {said}"]
    raise AssertionError("every byte is a character of Latin-1")


def _whole(text: str, source: str) -> str:
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise GraftError(f"{source}, line {line}: holds a NUL byte; is it UTF-16? (data.encoding=utf-16)")
    return text.removeprefix("\ufeff")


def read_rows(path: Path, source: str, needed: Sequence[str] = (), encoding: str | None = None) -> Delimited:
    """The rows of a CSV file, the header as the first.

    Cells are divided by what the header is divided by where its cells are the columns that are needed: by
    commas, tabulators, semicolons or bars. Where quotes do not pair up, they are a part of the text, if every
    row then has as many cells as the header.

    Args:
        path: the file.
        source: names it in messages.
        needed: columns; none: by commas or, where a first line has none, by what it does have.
        encoding: as `read_text`'s.

    Raises:
        GraftError: as `read_text`; a row has more or fewer cells than the header, or a quote is left open.
    """
    text, notes = read_text(path, source, encoding)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = _delimiter(first, needed)
    if delimiter != "," and first:
        notes.append(f"cells are divided by {_CALLED[delimiter]}")
    with _cells_of_any_length():
        try:
            rows = list(_parsed(text, delimiter, csv.QUOTE_MINIMAL))
            wrong = _wrong(rows, source)
        except _Open as error:
            wrong = GraftError(
                f"{source}, line {error.line}: a quote is left open here, or a cell does not end with its "
                f"quote ({error})"
            )
        if wrong is not None and '"' in text:
            bare = list(_parsed(text, delimiter, csv.QUOTE_NONE))
            if _wrong(bare, source) is None:
                return Delimited(
                    bare, [*notes, "quotes do not pair up, so they are read as a part of the text"], delimiter
                )
    if wrong is not None:
        raise wrong
    return Delimited(rows, notes, delimiter)


class _Open(Exception):
    """A quote that is not closed; in the row that begins in this line."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def _delimiter(first: str, needed: Sequence[str]) -> str:
    """What divides the cells of the first line."""

    def cells(delimiter: str) -> list[str]:
        try:
            return [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter), [])]
        except csv.Error:
            return []

    if needed:
        fitting = [mark for mark in DELIMITERS if set(needed) <= set(cells(mark))]
        return (
            fitting[0] if fitting else max(DELIMITERS, key=lambda mark: len(set(needed) & set(cells(mark))))
        )
    return next((mark for mark in DELIMITERS if len(cells(mark)) > 1), ",")


def _parsed(text: str, delimiter: str, quoting: Literal[0, 3]) -> Iterator[Row]:
    """The rows that are not blank, each with the line that it begins in."""
    begun = 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield Row(begun, cells)
            begun = reader.line_num + 1
    except csv.Error as error:
        raise _Open(begun, str(error)) from error


def _wrong(rows: Sequence[Row], source: str) -> GraftError | None:
    """What is wrong with the first row that has other cells than the header."""
    for row in rows[1:]:
        if len(row.cells) != len(rows[0].cells):
            return GraftError(f"{source}, line {row.line}: {misfit(row.cells, rows[0].cells)}")
    return None


@contextmanager
def _cells_of_any_length() -> Iterator[None]:
    """While this lasts, a cell may be longer than the 131,072 characters that the module allows."""
    before = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield
    finally:
        csv.field_size_limit(before)
