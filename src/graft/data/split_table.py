"""A split as rows of text, to be written beside a run and read back."""

from collections.abc import Mapping, Sequence

import numpy as np

from graft.configuration.names import nfc
from graft.data.sample_data import SampleData
from graft.data.splits import SPLITS, Splits, from_lists
from graft.errors import GraftError, did_you_mean


def split_rows(data: SampleData, splits: Splits) -> list[dict[str, str]]:
    """One row an image, in the order of `data.samples`: name, label (the class's name) and split."""
    split_of = splits.of_each()
    return [
        {"name": name, "label": data.class_names[label], "split": split_of[index]}
        for index, (name, label) in enumerate(zip(data.samples.names, data.samples.labels, strict=True))
    ]


def recorded_rows(data: SampleData, splits: Splits) -> list[dict[str, str]]:
    """As `split_rows`, with the SHA-256 by which each image is known wherever it lies; reads all files.

    Raises:
        SampleError: an image cannot be read.
    """
    return [{**row, "sha256": data.identity(index)} for index, row in enumerate(split_rows(data, splits))]


def split_from_rows(rows: Sequence[Mapping[str, str]], data: SampleData, source: str = "split.csv") -> Splits:
    """The split that `split_rows` wrote; `source` names the rows in messages.

    Raises:
        GraftError: the images are not those of the rows, or have other labels, or a split is unknown.
    """
    # The exact spelling goes before another spelling of the same text.
    index_of = {nfc(name): index for index, name in enumerate(data.samples.names)}
    index_of |= {name: index for index, name in enumerate(data.samples.names)}
    lists: dict[str, list[int]] = {split: [] for split in SPLITS}
    seen: set[int] = set()
    for row in rows:
        if lacking := [column for column in ("name", "label", "split") if not row.get(column)]:
            raise GraftError(f"{source}: a row has no {lacking[0]}: {dict(row)}")
        name, label, split = row["name"], row["label"], row["split"]
        index = index_of.get(name, index_of.get(nfc(name)))
        if index is None:
            raise GraftError(
                f"{source}: {name} is not among the {len(data.samples)} {data.kind.plural} of the data"
            )
        if index in seen:
            raise GraftError(f"{source}: {name} is listed twice")
        seen.add(index)
        current = data.class_names[data.samples.labels[index]]
        if nfc(label) != nfc(current):
            raise GraftError(f"{source}: {name} was labelled {label}, and is labelled {current} now")
        if split not in lists:
            raise GraftError(
                f"{source}: {name} is to {split}, none of {', '.join(SPLITS)}{did_you_mean(split, SPLITS)}"
            )
        lists[split].append(index)
    if new := [name for index, name in enumerate(data.samples.names) if index not in seen]:
        raise GraftError(
            f"{source}: {len(new)} {data.kind.plural} of the data are not listed, such as {new[0]}"
        )
    indices = {split: np.asarray(lists[split], np.int64) for split in ("train", "val", "test")}
    counts = ", ".join(f"{len(lists[split])} {split}" for split in SPLITS)
    return from_lists(data, indices, f"read from {source}: {counts}")
