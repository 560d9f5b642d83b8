"""Reading CSV files. A row that does not fit the header is refused with its line. Imports no torch."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from graft.errors import GraftError


class Row(NamedTuple):
    """One row: the line that it begins in, from 1 on, and its cells, one a column."""

    line: int
    cells: list[str]


class Rows:
    """A CSV file, row by row.

    Args:
        path: the file, UTF-8, with a header.
        source: what names it in messages.
        needed: columns that are read; none of them may stand in the header twice.
        strict_text: whether what is no UTF-8 is refused; else its bytes are kept, as in names of files.

    Attributes:
        columns: the header's cells, stripped.

    Raises:
        GraftError: the file cannot be opened, is no CSV in UTF-8, is empty, names a needed column twice; and
            while rows are read: one has more or fewer cells than the header, or a quote is left open.
    """

    def __init__(
        self, path: Path, source: str, needed: Sequence[str] = (), *, strict_text: bool = False
    ) -> None:
        self.source = source
        self._path = path
        self._errors = "strict" if strict_text else "surrogateescape"
        self._rows = self._read()
        header = next(self._rows, Row(1, []))
        self.columns = [column.strip() for column in header.cells]
        for column, count in Counter(self.columns).items():
            if count > 1 and column in needed:
                raise GraftError(f"{source}: {count} columns are called {column}; which is meant?")

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            if len(row.cells) != len(self.columns):
                raise GraftError(f"{self.source}, line {row.line}: {misfit(row.cells, self.columns)}")
            yield row

    def _read(self) -> Iterator[Row]:
        begun = 1
        try:
            # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
            with self._path.open(encoding="utf-8-sig", errors=self._errors, newline="") as file:
                reader = csv.reader(file, strict=True)
                for cells in reader:
                    if "\0" in "".join(cells):
                        raise GraftError(f"{self.source}, line {begun}: holds a NUL byte; is it UTF-16?")
                    if cells:
                        yield Row(begun, cells)
                    begun = reader.line_num + 1
        except OSError as error:
            raise GraftError(f"{self.source}: cannot be opened ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise GraftError(f"{self.source}: is no CSV file in UTF-8 ({error})") from error
        except csv.Error as error:
            raise GraftError(
                f"{self.source}, line {begun}: a quote is left open here, or a cell does not end with its "
                f"quote ({error})"
            ) from error


def misfit(cells: Sequence[str], columns: Sequence[str]) -> str:
    """How the cells of a row do not fit the header."""
    shown = ", ".join(repr(cell) for cell in cells[:5]) + (", ..." if len(cells) > 5 else "")
    count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
    counts = f"{count}, the header has {len(columns)} ({', '.join(columns[:5])}): {shown}"
    if len(cells) < len(columns):
        return counts
    example = ", ".join(cell.strip() for cell in cells[-2:])
    return f'{counts}; a cell that holds a comma stands in quotes, such as "{example}"'
