"""How a row of a table becomes a backbone's input, as plain data, and how it is learnt. Imports no torch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from graft.errors import GraftError

# A cell: text, a number, or None where it is blank.
Value = str | float | None
Row = Mapping[str, Value]
# Of a column of categories: any value that the training rows do not have. Those that they have come next.
UNKNOWN = 0
# Rows from which on a column in which no two are alike says which row it is, and nothing of what is in it.
IDENTIFYING = 20


@dataclass(frozen=True)
class Number:
    """A column of numbers, as the training rows have them.

    Attributes:
        column: its name.
        mean: of those that are there.
        std: their deviation, by N; above 0.
        median: theirs, which stands where a row has none.
        blanks: whether some rows have none, so that a flag says where.
    """

    column: str
    mean: float
    std: float
    median: float
    blanks: bool


@dataclass(frozen=True)
class Category:
    """A column of categories.

    Attributes:
        column: its name.
        values: of the training rows, None where one is blank; the number of a value is its place + 1, and
            `UNKNOWN` that of all others.
    """

    column: str
    values: tuple[str | None, ...]


@dataclass(frozen=True)
class Columns:
    """How rows become numbers and categories: what the training rows say of each column.

    A column of theirs that is not here is not seen.

    Raises:
        GraftError: there is no column, one occurs twice, or a value is outside what can be built.
    """

    name: ClassVar[str] = "columns"

    numbers: tuple[Number, ...]
    categories: tuple[Category, ...]

    def __post_init__(self) -> None:
        names = self.column_names
        if not names:
            raise GraftError("preprocessing: there is no column")
        if len(set(names)) < len(names):
            raise GraftError(f"preprocessing: a column occurs twice: {', '.join(names)}")
        for number in self.numbers:
            if not all(map(math.isfinite, (number.mean, number.std, number.median))) or number.std <= 0:
                raise GraftError(f"preprocessing: of column {number.column}, {number} is no scale")

    @property
    def column_names(self) -> list[str]:
        """Those that are seen, numbers first."""
        return [one.column for one in self.numbers] + [one.column for one in self.categories]

    @property
    def flags(self) -> int:
        """How many columns of numbers have a flag for blanks."""
        return sum(number.blanks for number in self.numbers)

    @property
    def side(self) -> int:
        """Of a square that holds a value a column."""
        return math.isqrt(len(self.column_names) - 1) + 1

    def to_dict(self) -> dict[str, object]:
        """Plain values that YAML and JSON can hold; `from_dict` reads them back, without the name."""
        categories = [{"column": one.column, "values": list(one.values)} for one in self.categories]
        return {
            "name": self.name,
            "numbers": [asdict(number) for number in self.numbers],
            "categories": categories,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Columns":
        """Read what `to_dict` gave.

        Raises:
            GraftError: a key is unknown or missing, or a value is outside what can be built.
        """
        try:
            numbers = [Number(**each) for each in values["numbers"]]
            categories = [Category(each["column"], tuple(each["values"])) for each in values["categories"]]
            if set(values) != {"numbers", "categories"}:
                raise KeyError
        except (KeyError, TypeError) as error:
            raise GraftError("preprocessing must have numbers and categories, a column each") from error
        return cls(tuple(numbers), tuple(categories))


def learnt(rows: Sequence[Row]) -> tuple[Columns, list[str]]:
    """What training rows say of their columns; and which columns are left out, a line each.

    Left out is what tells no row from another, and what tells each from all others and is no quantity.

    Raises:
        GraftError: no column is left, or numbers are too large to have a deviation.
    """
    numbers: list[Number] = []
    categories: list[Category] = []
    notes = []
    for column in rows[0]:
        values = [row[column] for row in rows]
        there = [value for value in values if value is not None]
        distinct: set[Value] = set(there)
        if len(distinct) + (len(there) < len(values)) < 2:
            what = "blank" if not there else f"always {_told(there[0])}"
            notes.append(f"column {column} is {what} in the training rows, and is left out")
        elif why := _identifies(there, distinct):
            notes.append(f"warning: column {column} {why}, and is left out")
        elif isinstance(there[0], str):
            blank = [None] if len(there) < len(values) else []
            categories.append(Category(column, (*blank, *sorted(map(str, distinct)))))
        else:
            numbers.append(_number(column, np.array(there, np.float64), len(there) < len(values)))
    if not numbers and not categories:
        raise GraftError(f"data: no column is left to learn from; {'; '.join(notes) or 'there is none'}")
    return Columns(tuple(numbers), tuple(categories)), notes


def _number(column: str, there: np.ndarray, blanks: bool) -> Number:
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = float(there.mean()), float(there.std())
    if not math.isfinite(std):
        raise GraftError(f"data: column {column} has numbers up to {abs(there).max():g}, which is too large")
    # Where all are equal the flag tells rows apart.
    return Number(
        column, mean, std if there.min() < there.max() and std > 0 else 1.0, float(np.median(there)), blanks
    )


def _told(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _identifies(there: Sequence[Value], distinct: set[Value]) -> str:
    """Why a column says which row it is; empty where it does not."""
    if len(there) < IDENTIFYING or len(distinct) < len(there):
        return ""
    if isinstance(there[0], str):
        return f"has another value in each of {len(there):,} training rows, such as {there[0]}"
    whole = [value for value in distinct if isinstance(value, float) and value.is_integer()]
    # Rows that are counted up, some of which train.
    if len(whole) == len(there) and max(whole) - min(whole) < 2 * len(there):
        return f"counts the rows, from {min(whole):g} to {max(whole):g}"
    return ""
