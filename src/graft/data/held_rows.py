"""Rows of a table in memory, as samples. Imports no torch."""

import json
from collections.abc import Mapping, Sequence
from functools import partial

from graft.backbones.columns import Value
from graft.data.samples import Indices, Samples

# Column to its values, in the order of the rows.
Table = Mapping[str, Sequence[Value]]


def row_samples(names: Sequence[str], labels: Sequence[int] | Indices, table: Table) -> Samples:
    """Rows as samples: a mapping of column to text, number, or None where it is blank.

    Args:
        names: one a row, unique.
        labels: `(N,)`.
        table: each column with N values, either all text or all numbers but for the blanks.
    """
    return Samples(names, labels, partial(load_row, table), partial(content_of_row, table))


def load_row(table: Table, index: int) -> dict[str, Value]:
    """One row."""
    return {column: values[index] for column, values in table.items()}


def content_of_row(table: Table, index: int) -> bytes:
    """Its columns with their values, in the order of the names."""
    return json.dumps(load_row(table, index), ensure_ascii=False, sort_keys=True).encode(
        errors="surrogatepass"
    )
