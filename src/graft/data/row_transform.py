"""From rows of a table to a backbone's input: numbers that are standardised, categories by number."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from graft.backbones.columns import UNKNOWN, Columns, Row, Value
from graft.backbones.inputs import Input
from graft.data.row_card import row_card
from graft.data.samples import SampleError
from graft.errors import did_you_mean

Numbers = NDArray[np.int64]
# "numbers" `(F,)` float32 and "categories" `(K,)` int64.
Prepared = Mapping[str, NDArray[np.float32] | NDArray[np.int64]]
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def number_of(text: str) -> float | None:
    """The number that a text is, with a point before its decimals; None where it is none."""
    number = float(text) if _NUMBER.fullmatch(text) else None
    return None if number is None or abs(number) == float("inf") else number


@dataclass(frozen=True)
class RowTransform:
    """Rows to {"numbers": `(B, F)` float32, "categories": `(B, K)` int64}; it draws nothing.

    F numbers are those of the columns, standardised, and then a flag, 0 or 1, for each that has blanks.

    Attributes:
        preprocessing: what the training rows said of each column.
    """

    preprocessing: Columns

    # Made at once: a key of the feature cache is made of all that a transform holds.
    _places: list[dict[str | None, int]] = field(init=False, repr=False, compare=False)

    # A row is needed whole.
    at_least = None
    form = "columns"

    def __post_init__(self) -> None:
        places = [
            {value: place for place, value in enumerate(one.values, UNKNOWN + 1)}
            for one in self.preprocessing.categories
        ]
        object.__setattr__(self, "_places", places)

    def prepare(self, row: Row) -> Prepared:
        """One row.

        Raises:
            SampleError: it lacks a column, or what should be a number is none.
        """
        scaled, flags, places = [], [], []
        for number in self.preprocessing.numbers:
            value = _number_in(row, number.column)
            scaled.append(((number.median if value is None else value) - number.mean) / number.std)
            if number.blanks:
                flags.append(float(value is None))
        for category, place_of in zip(self.preprocessing.categories, self._places, strict=True):
            given = _in(row, category.column)
            places.append(place_of.get(None if given is None else text_of(given), UNKNOWN))
        # What is far out of the range of the training rows is as far as float32 goes.
        most = np.finfo(np.float32).max
        numbers = np.array([*scaled, *flags], np.float64).clip(-most, most).astype(np.float32)
        return {"numbers": numbers, "categories": np.array(places, np.int64)}

    def finish(
        self, prepared: Sequence[Prepared], seed: int | None, epochs: Numbers, indices: Numbers
    ) -> Input:
        """A batch of B rows."""
        names = ("numbers", "categories")
        return {name: torch.from_numpy(np.stack([row[name] for row in prepared])) for name in names}

    def blank(self, count: int) -> Input:
        """So many rows of means and of values that are not known."""
        columns = self.preprocessing
        numbers = torch.zeros(count, len(columns.numbers) + columns.flags)
        return {"numbers": numbers, "categories": torch.full((count, len(columns.categories)), UNKNOWN)}

    def shown(self, inputs: Mapping[str, Tensor]) -> list[Image.Image]:
        """Rows as they were before, a picture each; the median stands for a blank."""
        return [
            row_card(self._row(numbers, places))
            for numbers, places in zip(inputs["numbers"].tolist(), inputs["categories"].tolist(), strict=True)
        ]

    def _row(self, scaled: Sequence[float], places: Sequence[int]) -> dict[str, Value]:
        columns = self.preprocessing
        row: dict[str, Value] = {
            one.column: float(f"{value * one.std + one.mean:.6g}")
            for one, value in zip(columns.numbers, scaled, strict=False)
        }
        for one, place in zip(columns.categories, places, strict=True):
            row[one.column] = "(unknown)" if place == UNKNOWN else one.values[place - 1]
        return row


def text_of(value: str | float) -> str:
    """A value as a category: of a number its shortest text."""
    if isinstance(value, str):
        return value
    return str(int(value)) if value.is_integer() else repr(value)


def _in(row: Row, column: str) -> Value:
    if column not in row:
        raise SampleError(f"there is no column {column}{did_you_mean(column, row)}")
    return row[column]


def _number_in(row: Row, column: str) -> float | None:
    value = _in(row, column)
    if not isinstance(value, str):
        return value
    if (number := number_of(value)) is None:
        raise SampleError(f"{value!r} in column {column} is no number")
    return number
