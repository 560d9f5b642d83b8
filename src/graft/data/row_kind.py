"""What is special to rows of a table."""

import hashlib
import numbers
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import quantiles
from typing import Any, NamedTuple

from PIL import Image

from graft.backbones.columns import IDENTIFYING, Value, learnt
from graft.backbones.preprocessings import AnyPreprocessing
from graft.data.kinds import check_kind
from graft.data.levels import AllLevels
from graft.data.row_card import row_card
from graft.data.samples import SampleError, Samples
from graft.errors import GraftError

# What people write where there is nothing, in small letters.
BLANKS = ("na", "n/a", "#n/a", "<na>", "nan", "null", "none", "?", "-", "–")
# Times the range of the middle half that a number lies beyond it, from which on it is warned of.
FAR = 20
# Shares of blank cells from which on a column is warned of.
MOSTLY = 0.5


class RowLook(NamedTuple):
    """One row.

    Attributes:
        row: itself.
        digest: of all its columns.
    """

    row: Mapping[str, Value]
    digest: bytes

    @property
    def blanks(self) -> int:
        """Columns with nothing in them."""
        return sum(value is None for value in self.row.values())


class Rows:
    """As `Kind`: a sample is a mapping of column to text, number, or None where it is blank."""

    noun, plural, near = "row", "rows", False

    def suited(self, preprocessing: AnyPreprocessing) -> AnyPreprocessing:
        """As it is."""
        check_kind(self, preprocessing, "; give backbone=table_mlp")
        return preprocessing

    def sample(self, given: object, levels: AllLevels | None = None) -> dict[str, Value]:
        """A mapping of column to value; what people write for nothing is blank.

        Raises:
            SampleError: it is none.
        """
        if not isinstance(given, Mapping):
            raise SampleError(f"a {type(given).__name__} is no row; give a mapping of column to value")
        return {str(column): _value(value) for column, value in given.items()}

    def card(self, sample: Mapping[str, Value]) -> Image.Image:
        """Its columns and values, as many as there is room for."""
        return row_card(sample)

    def look(self, samples: Samples, index: int) -> RowLook | str:
        """Take it as it is."""
        try:
            return RowLook(samples[index], hashlib.sha256(samples.content(index)).digest())
        except SampleError as error:
            return str(error)

    def columns(self, look: Any) -> dict[str, object]:
        """How many blanks."""
        return {"blanks": "" if look is None else look.blanks}

    def lines(self, looks: Sequence[Any]) -> list[str]:
        """Columns of numbers and of categories, and blanks."""
        summary = self.summary(looks)
        kinds = f"columns: {summary['numbers']} of numbers, {summary['categories']} of categories"
        blank, cells = sum(look.blanks for look in looks), sum(len(look.row) for look in looks)
        rows = sum(look.blanks > 0 for look in looks)
        return [kinds, f"blank: {blank:,} of {cells:,} cells, in {rows:,} rows"]

    def summary(self, looks: Sequence[Any]) -> dict[str, object]:
        """How many columns of numbers and of categories, and blanks by column."""
        blanks: Counter[str] = Counter()
        kinds: dict[str, str] = {}
        for look in looks:
            for column, value in look.row.items():
                blanks[column] += value is None
                if value is not None:
                    kinds[column] = "categories" if isinstance(value, str) else "numbers"
        counts = Counter(kinds.values())
        return {
            "numbers": counts["numbers"],
            "categories": counts["categories"],
            "blanks": {column: count for column, count in blanks.items() if count},
        }

    def warnings(self, names: Sequence[str], looks: Mapping[int, Any]) -> Iterator[str]:
        """Columns that tell nothing, that are mostly blank, and numbers far out of range."""
        rows = [look.row for look in looks.values()]
        if not rows:
            return
        yield from (
            note.removeprefix("warning: ").replace("training rows", "rows") for note in _left_out(rows)
        )
        for column in rows[0]:
            values = {index: look.row.get(column) for index, look in looks.items()}
            if MOSTLY <= (blank := sum(value is None for value in values.values()) / len(values)) < 1:
                yield f"column {column} is blank in {blank:.0%} of the rows"
            if found := _far(values):
                count = "1 number lies" if len(found) == 1 else f"{len(found):,} numbers lie"
                such = f"{values[found[0]]:g} in {names[found[0]]}"
                yield f"column {column}: {count} far out of the range of the others, such as {such}"


def _left_out(rows: Sequence[Mapping[str, Value]]) -> list[str]:
    try:
        return learnt(rows)[1]
    except GraftError as error:
        return [str(error)]


def _far(values: Mapping[int, Value]) -> list[int]:
    """Indices of numbers that lie more than `FAR` times the range of the middle half beyond it."""
    there = {index: value for index, value in values.items() if isinstance(value, float)}
    if len(there) < IDENTIFYING:
        return []
    low, _, high = quantiles(there.values(), n=4)
    room = FAR * (high - low)
    return [i for i, value in there.items() if room and not low - room <= value <= high + room]


def _value(value: object) -> Value:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, numbers.Real):
        # NaN is how arrays and frames say that there is nothing.
        return None if value != value else float(value)
    text = "" if value is None else str(value).strip()
    return None if not text or text.casefold() in BLANKS else text


ROWS = Rows()
