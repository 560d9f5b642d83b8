"""Files written whole or not at all: to a temporary name in the same folder, then renamed."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from graft.configuration.plain_text import encodable
from graft.runs.csv_rows import Rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path to write to; it becomes `path` if the block ends well, else it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # The usual rights of a new file. Some writers, such as safetensors, give rights to the user only.
        part.touch()
        rights = part.stat().st_mode
        yield part
        part.chmod(rights)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Let the names in `folder` outlive a power cut; where a system cannot, nothing happens."""
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:
        # Windows cannot open folders.
        return
    with suppress(OSError):
        os.fsync(number)
    os.close(number)


def write_text(path: Path, text: str, errors: str = "replace") -> None:
    """Write `text` to `path` so that a reader, or a crash, never meets half of it; `errors` as in `open`."""
    with whole(path) as part, part.open("w", encoding="utf-8", errors=errors, newline="") as file:
        file.write(text)


def write_json(path: Path, value: object) -> None:
    """Write plain values as indented JSON."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # A name that is not UTF-8 is kept as an escape, which JSON reads back.
    write_text(path, (text if text == encodable(text) else json.dumps(value, indent=2)) + "\n")


def write_yaml(path: Path, value: object) -> None:
    """Write plain values as YAML, keys in the order given."""
    write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def write_csv(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write rows as CSV; the columns are all keys, in the order in which they first appear.

    Names of files that are not UTF-8 are written as they are, so that they can be found again.
    """
    rows = list(rows)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue(), errors="surrogateescape")


def write_figure(path: Path, figure: "Figure") -> None:
    """Write a matplotlib figure as PNG."""
    with whole(path) as part:
        part.write_bytes(png_of(figure))


def png_of(figure: "Figure") -> bytes:
    """Draw a matplotlib figure as PNG; every figure that Graft writes is drawn here."""
    drawn = io.BytesIO()
    # More compression takes longer than the drawing.
    figure.savefig(drawn, dpi=120, format="png", pil_kwargs={"compress_level": 1})
    return drawn.getvalue()


def svg_of(figure: "Figure") -> bytes:
    """Draw a matplotlib figure as SVG, without a date or anything else that differs from time to time."""
    drawn = io.BytesIO()
    left_out = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(drawn, format="svg", metadata=left_out)
    return drawn.getvalue()


def digest_of(path: Path) -> str:
    """The hexadecimal SHA-256 of a file, as `sha256sum` says it; the file may be larger than the memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV with a header as one dict a row; every value is a string.

    Raises:
        GraftError: it cannot be opened, or a row does not fit the header; names the line.
    """
    rows = Rows(path, str(path))
    return [dict(zip(rows.columns, row.cells, strict=True)) for row in rows]
