"""Batches of two domains: a source, whose samples have labels, and a target, whose samples have none."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graft.data.sample_data import SampleData
from graft.data.samples import Indices
from graft.data.splits import Splits

# Of samples whose labels are not told.
NO_CLASS = "unlabelled"


class WithoutLabels:
    """A loader's batches without `target`."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    @property
    def batch_size(self) -> int | None:
        """Of a full batch."""
        size: int | None = self.loader.batch_size
        return size

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.loader:
            yield {key: value for key, value in batch.items() if key != "target"}


class Paired:
    """Two loaders of as many batches: the first one's, with the second one's under `unlabelled`."""

    def __init__(self, labelled: Iterable[Any], unlabelled: Iterable[Any]) -> None:
        self.labelled = labelled
        self.unlabelled = unlabelled

    def __len__(self) -> int:
        return len(self.labelled)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch, other in zip(self.labelled, self.unlabelled, strict=True):
            yield {**batch, "unlabelled": other}


@dataclass(frozen=True)
class TargetDomain:
    """The samples of a target domain, and, apart from them, what is known of their classes.

    Attributes:
        data: without labels, in an order that follows from their content.
        splits: which of them train, validate and test; drawn without labels.
        labels: `(N,)` indices into the source's classes, for the test and the oracle alone; None: unknown.
    """

    data: SampleData
    splits: Splits
    labels: Indices | None

    def labelled(self, class_names: list[str]) -> SampleData:
        """The same samples with their classes; of unknown classes they stand in the first."""
        labels = np.zeros(len(self.data.samples), np.int64) if self.labels is None else self.labels
        parts, start = {}, 0
        for name, part in self.data.parts.items():
            order = np.arange(len(part))
            parts[name] = part.taken(order, labels[start : start + len(part)])
            start += len(part)
        return replace(self.data, class_names=class_names, parts=parts, labelled=True)


def without_labels(data: SampleData) -> tuple[SampleData, Indices]:
    """The samples of each part in the order of their contents' SHA-256, of one class; and labels `(N,)`.

    So nothing that is drawn by a sample's place in the list follows from a label, or from where it lies.

    Raises:
        SampleError: a sample cannot be read.
    """
    parts, orders, start = {}, [], 0
    for name, part in data.parts.items():
        order = np.array(sorted(range(len(part)), key=part.digest), np.int64)
        parts[name] = part.taken(order, np.zeros(len(part), np.int64))
        orders.append(start + order)
        start += len(part)
    whole = np.concatenate(orders)
    groups = None if data.groups is None else [data.groups[index] for index in whole]
    unlabelled = replace(
        data,
        class_names=[NO_CLASS],
        parts=parts,
        groups=groups,
        pictures=None,
        labelled=False,
        # What keeps others from training, such as one class alone, does not matter here.
        untrainable=None,
    )
    return unlabelled, data.samples.labels[whole]
