"""Texts listed in a CSV file. Imports no torch."""

from collections.abc import Mapping, Sequence

from graft.configuration.names import nfc
from graft.configuration.paths import expanded
from graft.data.held_texts import text_samples
from graft.data.sample_data import SampleData
from graft.data.samples import Samples
from graft.data.text_kind import TEXTS
from graft.errors import GraftError, did_you_mean
from graft.sources.delimited import read_rows
from graft.sources.parts import PARTS, NamedImages, divided, numbered, part_of, parts_of

# Columns that are read where they are there, if no others are named.
OPTIONAL = ("split", "group")


def text_csv(
    file: str,
    text: str = "text",
    label: str = "label",
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
        label: the column of their classes.
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
        raise GraftError(f"{source}: the file is empty; its first line must name {text} and {label}")
    place_of = places(source, [cell.strip() for cell in read.rows[0].cells], asked)
    rows = [(row.line, {key: row.cells[place] for key, place in place_of.items()}) for row in read.rows[1:]]
    lacking = {key: [line for line, row in rows if not row[key].strip()] for key in ("text", "label")}
    notes = [*read.notes, *(_left_out(key, lines) for key, lines in lacking.items() if lines)]
    rows = [(line, row) for line, row in rows if row["text"].strip() and row["label"].strip()]
    meant = parts_of({row["split"] for _, row in rows if "split" in row})
    parts: dict[str, NamedImages] = {}
    text_of: dict[str, str] = {}
    for line, row in rows:
        where = f"{source}, line {line}"
        part = parts.setdefault(part_of(where, row.get("split"), meant), NamedImages())
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
    return numbered(source, ordered, samples, TEXTS, [*notes, *divided(ordered)])


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
            raise GraftError(
                f"{source}: no column {column} (data.{key}); the columns are {', '.join(columns)}"
                f"{did_you_mean(column, columns)}"
            )
        if (count := columns.count(column)) > 1:
            raise GraftError(f"{source}: {count} columns are called {column}; which is meant?")
    return {key: columns.index(column) for key, column in wanted.items()}


def _left_out(what: str, lines: Sequence[int]) -> str:
    rows = "1 row has" if len(lines) == 1 else f"{len(lines):,} rows have"
    return f"left out: {rows} no {what}, such as line {lines[0]}"
