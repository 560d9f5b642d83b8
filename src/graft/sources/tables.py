"""Rows of a table in a CSV file: numbers and categories, told apart by their values. Imports no torch."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from graft.backbones.columns import Value
from graft.configuration.names import nfc
from graft.configuration.paths import expanded
from graft.data.domains import NO_CLASS
from graft.data.held_rows import row_samples
from graft.data.row_kind import BLANKS, ROWS
from graft.data.row_transform import number_of
from graft.data.sample_data import SampleData
from graft.data.samples import Samples
from graft.errors import GraftError
from graft.runs.csv_rows import Row
from graft.sources.delimited import read_rows
from graft.sources.parts import PARTS, NamedFiles, divided, numbered, part_of, parts_of
from graft.sources.prediction import Found
from graft.sources.texts import OPTIONAL, left_out, places

# Share of a column's values from which on it is said that the others are no numbers.
MOSTLY = 0.8
# Such as a postal code or a telephone number.
_WITH_ZEROS = re.compile(r"[+-]?0\d")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")


class FoundRows(NamedTuple):
    """Rows without labels: their names, each column's values, and notes of how they were read."""

    names: list[str]
    table: dict[str, Sequence[Value]]
    notes: list[str]


class _Read(NamedTuple):
    """A file: the columns of its header, its rows, notes, and whether numbers may have decimal commas."""

    columns: list[str]
    rows: list[Row]
    notes: list[str]
    commas: bool


def table_csv(
    file: str,
    label: str | None = "label",
    split: str | None = None,
    group: str | None = None,
    id: str | None = None,
    leave_out: Sequence[str] = (),
    numbers: Sequence[str] = (),
    categories: Sequence[str] = (),
    blanks: Sequence[str] = BLANKS,
    encoding: str | None = None,
) -> SampleData:
    """Rows of a CSV file with a header, each with its label and, if there are such, split and group.

    A column is of numbers if all of its values are, but for blanks; a value such as 01234 is none. Else it is
    of categories. Rows without a label are left out; notes count them. Parts and groups are as for
    `csv_manifest`.

    Args:
        file: the CSV file (see `read_rows` for its forms).
        label: the column of the classes; None: there is none (see `unlabelled`).
        split: the column of their parts; None: `split`, if there is such a column.
        group: the column of their groups; None: `group`, if there is such a column.
        id: a column whose values name the rows, which nothing learns from; None: a row is called by its line.
        leave_out: columns that are not to be learnt from.
        numbers: columns of numbers; a value that is none is refused.
        categories: columns of categories, whatever their values are.
        blanks: what stands for nothing, in small letters; an empty cell does anyway.
        encoding: of the file; None: found out.

    Raises:
        GraftError: the file is missing or damaged, a column is missing or there twice, a row does not fit the
            header or says an unknown split, there are no rows, two have one name, there is no column to learn
            from, or the classes are wrong as for `image_folder`.
    """
    source = f"data.file={file}"
    read = _read(expanded(file), source, encoding, [label] if label else [])
    asked = {"label": label, "split": split, "group": group, "id": id}
    place_of = places(source, read.columns, {key: column for key, column in asked.items() if column})
    for key, named in (("leave_out", leave_out), ("numbers", numbers), ("categories", categories)):
        for column in named:
            places(source, read.columns, {key: column})
    rows = [row for row in read.rows if label is None or row.cells[place_of["label"]].strip()]
    notes = list(read.notes)
    if lacking := sorted({row.line for row in read.rows} - {row.line for row in rows}):
        notes.append(left_out("label", lacking))
    parts, place_in = _parts(source, rows, place_of)
    learnt = [
        c for place, c in enumerate(read.columns) if place not in place_of.values() and c not in leave_out
    ]
    if not learnt:
        raise GraftError(f"{source}: there is no column to learn from{f' beside {label}' if label else ''}")
    texts = _texts(read._replace(rows=rows), learnt, blanks)
    table = {
        column: _typed(
            source, column, cells, rows, read.commas, column in numbers, column in categories, notes
        )
        for column, cells in texts.items()
    }

    def samples(names: Sequence[str], labels: Sequence[int]) -> Samples:
        places = [place_in[name] for name in names]
        return row_samples(names, labels, {c: [values[p] for p in places] for c, values in table.items()})

    ordered = {part: parts[part] for part in PARTS if part in parts} or parts
    notes = [*notes, *divided(ordered)]
    return numbered(source, ordered, samples, ROWS, notes, labelled=label is not None)


def listed_rows(source: str, data: Mapping[str, Any]) -> Found:
    """As `find_rows`, as samples."""
    names, table, notes = find_rows(source, data)
    return Found(row_samples(names, np.zeros(len(names), np.int64), table), notes)


def find_rows(source: str, data: Mapping[str, Any]) -> FoundRows:
    """The rows of a CSV file, to be predicted.

    Args:
        source: the file.
        data: the node of the run that predicts, whose columns mean here what they mean there; empty for a
            bundle alone, which knows its columns by itself.

    Raises:
        GraftError: the file is missing or damaged, or there are no rows.
    """
    key = f"source={source}"
    if not expanded(source).is_file():
        raise GraftError(f"{key}: is no file; give a CSV of rows")
    read = _read(expanded(source), key, data.get("encoding"), [])
    if not read.rows:
        raise GraftError(f"{key}: there are no rows below the header")
    others = {data.get(name) or name for name in ("label", *OPTIONAL)} if data else set()
    others |= {data.get("id"), *data.get("leave_out", ())}
    numbers, categories = data.get("numbers", ()), data.get("categories", ())
    table: dict[str, Sequence[Value]] = {}
    wanted = [column for column in read.columns if column not in others]
    for column, cells in _texts(read, wanted, data.get("blanks", BLANKS)).items():
        if column in numbers:
            # Of a cell that is none, its row is told when it is read.
            found = [None if cell is None else _number(cell, read.commas) for cell in cells]
            table[column] = [
                cell if number is None else number for cell, number in zip(cells, found, strict=True)
            ]
        else:
            kept = column in categories
            table[column] = _typed(key, column, cells, read.rows, read.commas, False, kept, [])
    names = [f"line {row.line}" for row in read.rows]
    if data.get("id") in read.columns:
        place = read.columns.index(str(data["id"]))
        names = [row.cells[place].strip() for row in read.rows]
    return FoundRows(names, table, read.notes)


def _read(path: Path, source: str, encoding: str | None, needed: Sequence[str]) -> _Read:
    found = read_rows(path, source, needed, encoding)
    if not found.rows:
        raise GraftError(f"{source}: the file is empty; its first line must name the columns")
    header = [cell.strip() for cell in found.rows[0].cells]
    # Frames are written with their row numbers under no name.
    columns = [column or f"column {place}" for place, column in enumerate(header, 1)]
    if twice := next((column for column in columns if columns.count(column) > 1), None):
        raise GraftError(f"{source}: {columns.count(twice)} columns are called {twice}; which is meant?")
    return _Read(columns, found.rows[1:], found.notes, found.delimiter != ",")


def _parts(
    source: str, rows: Sequence[Row], place_of: Mapping[str, int]
) -> tuple[dict[str, NamedFiles], dict[str, int]]:
    """The rows of each part, by name; and where each is among all rows."""
    cells = [{key: row.cells[place].strip() for key, place in place_of.items()} for row in rows]
    meant = parts_of({each["split"] for each in cells if "split" in each})
    parts: dict[str, NamedFiles] = {}
    place_in: dict[str, int] = {}
    for place, (row, each) in enumerate(zip(rows, cells, strict=True)):
        where = f"{source}, line {row.line}"
        name = each.get("id", f"line {row.line}")
        for key in ("id", "group"):
            if each.get(key) == "":
                raise GraftError(f"{where}: the {key} is empty")
        if name in place_in:
            raise GraftError(f"{where}: {name} was listed before, in line {rows[place_in[name]].line}")
        place_in[name] = place
        part = parts.setdefault(part_of(where, each.get("split"), meant), NamedFiles())
        part.names.append(name)
        part.classes.append(nfc(each.get("label", NO_CLASS)))
        if "group" in each:
            part.groups.append(nfc(each["group"]))
    return parts, place_in


def _texts(read: _Read, wanted: Sequence[str], blanks: Sequence[str]) -> dict[str, list[str | None]]:
    """The cells of each column, None where there is nothing."""
    nothing = {"", *(blank.casefold() for blank in blanks)}

    def text(cell: str) -> str | None:
        stripped = cell.strip()
        return None if stripped.casefold() in nothing else nfc(stripped)

    places = {column: read.columns.index(column) for column in wanted}
    return {column: [text(row.cells[place]) for row in read.rows] for column, place in places.items()}


def _typed(
    source: str,
    column: str,
    cells: Sequence[str | None],
    rows: Sequence[Row],
    commas: bool,
    asked: bool,
    kept: bool,
    notes: list[str],
) -> Sequence[Value]:
    """A column as numbers where it is one of numbers, or is said to be; else as it is."""
    if kept:
        return cells
    numbers = [None if cell is None else _number(cell, commas) for cell in cells]
    wrong = [place for place, cell in enumerate(cells) if cell is not None and numbers[place] is None]
    if asked:
        if wrong:
            raise GraftError(
                f"{source}, line {rows[wrong[0]].line}: {cells[wrong[0]]!r} in column {column} is no number "
                f"(data.numbers); data.blanks=[{cells[wrong[0]]}, …] takes it for a blank"
            )
        return numbers
    there = sum(cell is not None for cell in cells)
    if not wrong and not any(_WITH_ZEROS.match(cell) and "." not in cell for cell in cells if cell):
        return numbers
    if there - len(wrong) >= MOSTLY * there and wrong:
        notes.append(
            f"warning: column {column} is taken for categories, though {there - len(wrong):,} of {there:,} "
            f"values are numbers, because of {cells[wrong[0]]!r} in line {rows[wrong[0]].line}"
        )
    return cells


def _number(text: str, commas: bool) -> float | None:
    if commas and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    return number_of(text)
