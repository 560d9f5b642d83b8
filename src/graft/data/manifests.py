"""A CSV manifest: path, label and, where it says so, split of every image."""

import csv
from pathlib import Path

from graft.data.folders import PART_NAMES
from graft.data.image_data import ImageData, file_images
from graft.errors import GraftError, did_you_mean


def csv_manifest(file: str, root: str | None = None) -> ImageData:
    """Images listed in a CSV with a header: `path`, `label` and optionally `split` (train, val, test).

    Args:
        file: the manifest.
        root: folder that the paths are relative to; None: the manifest's own.

    Raises:
        GraftError: the manifest cannot be read, lacks a column, or names what does not exist; with the line.
    """
    manifest = Path(file).expanduser()
    if not manifest.is_file():
        raise GraftError(f"data.file={file}: there is no such file")
    top = Path(root).expanduser() if root else manifest.parent
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened)
            columns = list(reader.fieldnames or [])
            rows = [(reader.line_num, {key: (value or "").strip() for key, value in row.items() if key}) for row in reader]
    except (csv.Error, UnicodeDecodeError) as error:
        raise GraftError(f"data.file={file}: cannot be read as CSV ({error})") from error
    for column in ("path", "label"):
        if column not in columns:
            hint = did_you_mean(column, columns) or f"; it has {', '.join(columns) or 'none'}"
            raise GraftError(f"data.file={file}: there is no column {column}{hint}")
    by_part: dict[str, list[tuple[str, str]]] = {}
    missing = []
    for line, row in rows:
        if not row["path"] or not row["label"]:
            raise GraftError(f"data.file={file}, line {line}: path or label is empty")
        word = row.get("split", "all").lower() if "split" in columns else "all"
        part = "all" if word == "all" and "split" not in columns else PART_NAMES.get(word)
        if part is None:
            hint = did_you_mean(word, PART_NAMES)
            raise GraftError(f"data.file={file}, line {line}: split {word or '(empty)'} is not train, val or test{hint}")
        if not (top / row["path"]).is_file():
            missing.append((line, row["path"]))
        by_part.setdefault(part, []).append((row["path"], row["label"]))
    if missing:
        line, path = missing[0]
        raise GraftError(f"data.file={file}, line {line}: {top / path} is missing ({len(missing)} such in all)")
    if not by_part:
        raise GraftError(f"data.file={file}: there are no rows")
    return _image_data(by_part, top, file)


def _image_data(by_part: dict[str, list[tuple[str, str]]], top: Path, file: str) -> ImageData:
    if "all" not in by_part and "train" not in by_part:
        raise GraftError(f"data.file={file}: no row has the split train")
    classes = sorted({label for _, label in by_part.get("train", by_part.get("all", []))})
    parts = {}
    for part in ("all", "train", "val", "test"):
        rows = by_part.get(part)
        if rows is None:
            continue
        strange = next((label for _, label in rows if label not in classes), None)
        if strange is not None:
            raise GraftError(f"data.file={file}: class {strange} is in {part} but not in train")
        labels = [classes.index(label) for _, label in rows]
        parts[part] = file_images(top, [path for path, _ in rows], labels)
    return ImageData(classes, parts)
