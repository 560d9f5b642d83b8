"""Texts listed in a CSV file. Imports no torch."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from graft.configuration.names import nfc
from graft.configuration.paths import expanded
from graft.data.domains import NO_CLASS
from graft.data.held_texts import text_samples
from graft.data.sample_data import SampleData
from graft.data.samples import Samples
from graft.data.text_kind import TEXTS
from graft.errors import GraftError, did_you_mean
from graft.runs.csv_rows import Row
from graft.sources.delimited import read_rows, read_text
from graft.sources.parts import PARTS, NamedFiles, divided, numbered, part_of, parts_of
from graft.sources.prediction import Found

# Columns that are read where they are there, if no others are named.
OPTIONAL = ("split", "group")


def text_csv(
    file: str,
    text: str = "text",
    label: str | None = "label",
    split: str | None = None,
    group: str | None = None,
    encoding: str | None = None,
) -> SampleData:
    """Texts listed in a CSV file with a header, each with its label and, if there are such, split and group.

    A text is called by its line. Rows without a text or a label are left out; notes count them, and say in
    which encoding the file was read where it is not UTF-8. Parts and groups are as for `csv_manifest`.

    Args:
        file: the CSV file (see `read_rows` for its forms).
        text: the column of the texts.
        label: the column of their classes; None: they have none (see `unlabelled`).
        split: the column of their parts; None: `split`, if there is such a column.
        group: the column of their groups; None: `group`, if there is such a column.
        encoding: of the file; None: found out.

    Raises:
        GraftError: the file is missing or damaged, a column is missing or there twice, a row does not fit the
            header or says an unknown split, there are no texts, or the classes are wrong as for
            `image_folder`.
    """
    source = f"data.file={file}"
    named = {"text": text, "label": label, "split": split, "group": group}
    asked = {key: column for key, column in named.items() if column is not None}
    read = read_rows(expanded(file), source, list(asked.values()), encoding)
    if not read.rows:
        wanted = " and ".join(column for column in (text, label) if column)
        raise GraftError(f"{source}: the file is empty; its first line must name {wanted}")
    place_of = places(source, [cell.strip() for cell in read.rows[0].cells], asked)
    rows = [(row.line, {key: row.cells[place] for key, place in place_of.items()}) for row in read.rows[1:]]
    rows = [(line, {"label": NO_CLASS, **row}) for line, row in rows]
    lacking = {key: [line for line, row in rows if not row[key].strip()] for key in ("text", "label")}
    notes = [*read.notes, *(left_out(key, lines) for key, lines in lacking.items() if lines)]
    rows = [(line, row) for line, row in rows if row["text"].strip() and row["label"].strip()]
    meant = parts_of({row["split"] for _, row in rows if "split" in row})
    parts: dict[str, NamedFiles] = {}
    text_of: dict[str, str] = {}
    for line, row in rows:
        where = f"{source}, line {line}"
        part = parts.setdefault(part_of(where, row.get("split"), meant), NamedFiles())
        name = f"line {line}"
        part.names.append(name)
        part.classes.append(nfc(row["label"].strip()))
        text_of[name] = row["text"].strip()
        if "group" in row:
            if not row["group"].strip():
                raise GraftError(f"{where}: the group is empty")
            part.groups.append(nfc(row["group"].strip()))

    def samples(names: Sequence[str], labels: Sequence[int]) -> Samples:
        return text_samples(names, labels, [text_of[name] for name in names])

    ordered = {part: parts[part] for part in PARTS if part in parts} or parts
    notes = [*notes, *divided(ordered)]
    return numbered(source, ordered, samples, TEXTS, notes, labelled=label is not None)


def places(source: str, columns: Sequence[str], asked: Mapping[str, str]) -> dict[str, int]:
    """Where the columns are that a source asks for, by the source's own names for them.

    Args:
        source: names the file.
        columns: of its header.
        asked: the source's own name for a column, which is a key of the data option, to the file's. One of
            `OPTIONAL` that is not asked for is taken where there is a column of that name.

    Raises:
        GraftError: a column is not there, or there several times.
    """
    wanted = {**{name: name for name in OPTIONAL if name in columns}, **asked}
    for key, column in wanted.items():
        if column not in columns:
            shown = ", ".join(columns[:10]) + (f" and {len(columns) - 10} more" if len(columns) > 10 else "")
            raise GraftError(
                f"{source}: no column {column} (data.{key}); the columns are {shown}"
                f"{did_you_mean(column, columns)}"
            )
        if (count := columns.count(column)) > 1:
            raise GraftError(f"{source}: {count} columns are called {column}; which is meant?")
    return {key: columns.index(column) for key, column in wanted.items()}


def left_out(what: str, lines: Sequence[int]) -> str:
    """A note of the rows that lack something, which begin in these lines."""
    rows = "1 row has" if len(lines) == 1 else f"{len(lines):,} rows have"
    return f"left out: {rows} no {what}, such as line {lines[0]}"


def listed_texts(source: str, data: Mapping[str, Any]) -> Found:
    """The texts that `source` names: a CSV's, or the lines of a .txt; each is called by its line.

    The column is that of `data.text` in the run, else `text`. A CSV of one column needs no header.

    Raises:
        GraftError: it is no file, it is damaged, it has several columns and none of that name, or no text.
    """
    key, path = f"source={source}", expanded(source)
    if not path.is_file():
        raise GraftError(f"{key}: is no file; give a CSV of texts, or a .txt with a text a line")
    if path.suffix.lower() == ".txt":
        read, notes = read_text(path, key)
        lines = list(enumerate(re.split("\r\n|\r|\n", read), 1))
        blank = sum(not text.strip() for _, text in lines[:-1])
        notes += [f"left out: {blank:,} blank lines"] if blank else []
    else:
        rows, notes, _ = read_rows(path, key, [str(data.get("text", "text"))])
        lines = _of_column(key, rows, str(data.get("text", "text")))
        if empty := [line for line, text in lines if not text.strip()]:
            notes = [*notes, left_out("text", empty)]
    texts = {f"line {line}": text.strip() for line, text in lines if text.strip()}
    if not texts:
        raise GraftError(f"{key}: there are no texts")
    return Found(text_samples(list(texts), [0] * len(texts), list(texts.values())), notes)


def _of_column(key: str, rows: Sequence[Row], column: str) -> list[tuple[int, str]]:
    """Line and cell of each row in a column that the header names; of one column, of all rows without it."""
    columns = [cell.strip() for cell in rows[0].cells] if rows else []
    if column in columns:
        place = places(key, columns, {"text": column})["text"]
        return [(row.line, row.cells[place]) for row in rows[1:]]
    if len(columns) > 1:
        raise GraftError(
            f"{key}: no column {column}; the columns are {', '.join(columns)}{did_you_mean(column, columns)}"
        )
    return [(row.line, row.cells[0]) for row in rows]
