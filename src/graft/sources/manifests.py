"""Images, or other files, listed in a CSV file."""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from graft.configuration.names import nfc, on_disk
from graft.configuration.paths import expanded
from graft.data.domains import NO_CLASS
from graft.data.formats import suffixes
from graft.data.sample_data import SampleData
from graft.errors import GraftError, did_you_mean
from graft.runs.csv_rows import Rows
from graft.sources.parts import PARTS, NamedFiles, divided, number_classes, part_of, parts_of

# Columns that are read where they are there.
OPTIONAL = ("split", "group")


def csv_manifest(file: str, root: str | None = None, label: str | None = "label") -> SampleData:
    """Images listed in a CSV file with the columns path, label and, if there are such, split and group.

    Images of one group, such as a patient or a film, are never divided where a split is drawn. Without a
    split column one part "all" is returned. With one, each row says train, val (or valid, dev, ...) or test.
    Class names and their order come from the training part. Other columns are ignored.

    Args:
        file: the CSV file, UTF-8, with a header.
        root: what the paths are relative to; None: the file's own folder.
        label: the column of the classes; None: there is none (see `unlabelled`).

    Raises:
        GraftError: the file is missing or lacks a column or names one twice, a row does not fit the header,
            is incomplete or says an unknown split, a quote is left open, an image is listed twice, by
            whatever path, or does not exist, or the classes are wrong as for `image_folder`.
    """
    source = f"data.file={file}"
    folder, parts, notes = listed_files(source, file, root, label, "images", suffixes())
    return number_classes(source, folder, parts, notes, labelled=label is not None)


def listed_files(
    source: str, file: str, root: str | None, label: str | None, plural: str, suffixes: Collection[str]
) -> tuple[Path, dict[str, NamedFiles], list[str]]:
    """The folder that the paths are relative to, the files of each part, and what is to be said of them.

    Args:
        source: the key and what was given there, for messages.
        file: the CSV file.
        root: what the paths are relative to; None: the file's own folder.
        label: the column of the classes; None: there is none.
        plural: what the files are called.
        suffixes: of such files, in small letters.

    Raises:
        GraftError: as `csv_manifest`.
    """
    path = expanded(file)
    folder = path.parent if root is None else expanded(root)
    rows = _rows(source, path, label, suffixes)
    meant = parts_of({row["split"] for _, row in rows if "split" in row})
    parts: dict[str, NamedFiles] = {}
    lines: dict[str, int] = {}
    for line, row in rows:
        where = f"{source}, line {line}"
        for column in (column for column in row if column != "split"):
            if not row[column]:
                raise GraftError(f"{where}: the {column} is empty")
        name = Path(row["path"]).as_posix()
        if name in lines:
            raise GraftError(f"{where}: {name} was listed before, in line {lines[name]}")
        lines[name] = line
        files = parts.setdefault(part_of(where, row.get("split"), meant), NamedFiles())
        files.names.append(name)
        files.classes.append(nfc(row.get("label", NO_CLASS)))
        if "group" in row:
            files.groups.append(nfc(row["group"]))
    spelled = _on_disk(source, folder, lines, plural)
    for files in parts.values():
        files.names[:] = [spelled[name] for name in files.names]
    ordered = {part: parts[part] for part in PARTS if part in parts}
    named = ordered or parts or {"all": NamedFiles()}
    return folder, named, divided(named)


def _on_disk(source: str, folder: Path, lines: Mapping[str, int], plural: str) -> dict[str, str]:
    """Each listed path as the files spell it.

    Raises:
        GraftError: there is no such file, or one file is listed by several paths.
    """
    spelled: dict[str, str] = {}
    missing: list[str] = []
    first: dict[str, str] = {}
    above: dict[str, str] = {}
    for name, line in lines.items():
        spelling = name if (folder / name).is_file() else on_disk(folder, name)
        spelled[name], path = spelling, folder / spelling
        if not path.is_file():
            missing.append(name)
            continue
        parent = str(path.parent)
        if parent not in above:
            above[parent] = os.path.realpath(parent)
        real = str(path.resolve()) if path.is_symlink() else f"{above[parent]}/{path.name}"
        if (other := first.setdefault(real, name)) != name:
            raise GraftError(
                f"{source}, line {line}: {name} is the file that line {lines[other]} lists as {other}"
            )
    if missing:
        raise GraftError(
            f"{source}: {len(missing)} of {len(lines)} {plural} are not below {folder}, "
            f"the first in line {lines[missing[0]]}: {missing[0]}"
        )
    return spelled


def _rows(
    source: str, path: Path, label: str | None, suffixes: Collection[str]
) -> list[tuple[int, dict[str, str]]]:
    """Line number and cells, stripped, of every row."""
    needed = {"path": "path", **({} if label is None else {"label": label})}
    rows = Rows(path, source, [*needed.values(), *OPTIONAL], strict_text=True)
    if not rows.columns:
        named = " and ".join(needed.values())
        raise GraftError(f"{source}: the file is empty; its first line must name {named}")
    for wanted in needed.values():
        if wanted not in rows.columns:
            raise GraftError(
                f"{source}: no column {wanted}; the columns are {', '.join(rows.columns)}"
                f"{did_you_mean(wanted, rows.columns)}"
            )
    read = {**{name: name for name in OPTIONAL if name in rows.columns}, **needed}
    place_of = {key: rows.columns.index(column) for key, column in read.items()}
    numbered = []
    for line, cells in rows:
        row = {column: cells[place].strip() for column, place in place_of.items()}
        if taken := _taken_in(row, cells, place_of["path"], suffixes):
            raise GraftError(f"{source}, line {line}: {taken}; is a quote left open?")
        numbered.append((line, row))
    return numbered


def _taken_in(row: Mapping[str, str], cells: Sequence[str], path: int, suffixes: Collection[str]) -> str:
    """The sign that a cell of several lines holds whole rows; empty where there is none.

    Text of several lines is fine in a column that is not read.
    """
    for column, text in row.items():
        if "\n" in text or "\r" in text:
            return f"the {column} has several lines"
    for cell in cells:
        for line in cell.splitlines()[1:]:
            inner = line.split(",")
            if len(inner) > path and os.path.splitext(inner[path])[1].lower() in suffixes:  # noqa: PTH122
                return f"a cell takes in the line {line!r}"
    return ""
