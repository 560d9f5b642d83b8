"""Images listed in a CSV file."""

import csv
from collections import Counter
from pathlib import Path

from graft.data.image_data import ImageData
from graft.data.parts import PART_WORDS, NamedImages, number_classes
from graft.errors import GraftError, did_you_mean


def csv_manifest(file: str, root: str | None = None) -> ImageData:
    """Images listed in a CSV file with the columns path, label and, if there are such, split and group.

    Images of one group, such as a patient or a film, are never divided where a split is drawn. Without a
    split column one part "all" is returned. With one, each row says train, val (or valid, validation) or
    test. Class names and their order come from the training part. Other columns are ignored.

    Args:
        file: the CSV file, UTF-8, with a header.
        root: what the paths are relative to; None: the file's own folder.

    Raises:
        GraftError: the file is missing or lacks a column, a row is incomplete or listed twice or says an
            unknown split, an image does not exist, or the classes are wrong as for `image_folder`.
    """
    source = f"data.file={file}"
    path = Path(file).expanduser()
    folder = path.parent if root is None else Path(root).expanduser()
    parts: dict[str, NamedImages] = {}
    lines: dict[str, int] = {}
    for line, row in _rows(source, path):
        where = f"{source}, line {line}"
        for column in (column for column in row if column != "split"):
            if not row[column]:
                raise GraftError(f"{where}: the {column} is empty")
        name = Path(row["path"]).as_posix()
        if name in lines:
            raise GraftError(f"{where}: {name} was listed before, in line {lines[name]}")
        lines[name] = line
        images = parts.setdefault(_part(where, row), NamedImages())
        images.names.append(name)
        images.classes.append(row["label"])
        if "group" in row:
            images.groups.append(row["group"])
    if missing := [name for name in lines if not (folder / name).is_file()]:
        raise GraftError(
            f"{source}: {len(missing)} of {len(lines)} images are not below {folder}, "
            f"the first in line {lines[missing[0]]}: {missing[0]}"
        )
    ordered: dict[str, NamedImages] = {
        part: parts[part] for part in ("train", "val", "test") if part in parts
    }
    found = ordered or parts or {"all": NamedImages()}
    return number_classes(source, folder, found, _divided(found))


def _divided(parts: dict[str, NamedImages]) -> list[str]:
    """A note where the manifest's own parts divide groups, so that a test may look better than it is."""
    counts = Counter(group for images in parts.values() for group in set(images.groups))
    divided = sorted(group for group, count in counts.items() if count > 1)
    if not divided:
        return []
    return [f"warning: {len(divided)} groups are in more than one part, such as {divided[0]}"]


def _rows(source: str, path: Path) -> list[tuple[int, dict[str, str]]]:
    """Line number and cells, stripped, of every row."""
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            columns = reader.fieldnames or []
            if not columns:
                raise GraftError(f"{source}: the file is empty; its first line must name path and label")
            for wanted in ("path", "label"):
                if wanted not in columns:
                    raise GraftError(
                        f"{source}: no column {wanted}; the columns are {', '.join(columns)}"
                        f"{did_you_mean(wanted, columns)}"
                    )
            kept = [column for column in ("path", "label", "split", "group") if column in columns]
            return [(reader.line_num, {column: row[column].strip() for column in kept}) for row in reader]
    except OSError as error:
        raise GraftError(f"{source}: cannot be opened ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise GraftError(f"{source}: is no CSV file in UTF-8 ({error})") from error


def _part(where: str, row: dict[str, str]) -> str:
    if "split" not in row:
        return "all"
    word = row["split"].lower()
    if word not in PART_WORDS:
        raise GraftError(
            f"{where}: split {word!r} is none of train, val, test{did_you_mean(word, PART_WORDS)}"
        )
    return PART_WORDS[word]
