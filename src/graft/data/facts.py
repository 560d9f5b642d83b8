"""Facts about the data for the model and the run folder."""

import hashlib
from dataclasses import dataclass

import numpy as np

from graft.data.sample_data import SampleData
from graft.data.splits import Splits


@dataclass(frozen=True)
class DataFacts:
    """What is known of the data once it is split.

    Attributes:
        class_names: the C classes, in the order of the labels.
        counts: for train, val and test, images of each class.
        fingerprint: SHA-256 over class names and every image's name, label, split and content.
        channels: of an image as the model gets it.
    """

    class_names: list[str]
    counts: dict[str, dict[str, int]]
    fingerprint: str
    channels: int = 3


def data_facts(data: SampleData, splits: Splits) -> DataFacts:
    """Count and fingerprint the data; reads every image's bytes, decoding none.

    Raises:
        SampleError: an image is gone.
    """
    labels = data.samples.labels
    counts = {}
    for split in ("train", "val", "test"):
        number = np.bincount(labels[splits[split]], minlength=len(data.class_names))
        counts[split] = dict(zip(data.class_names, number.tolist(), strict=True))
    return DataFacts(data.class_names, counts, _fingerprint(data, splits))


def _fingerprint(data: SampleData, splits: Splits) -> str:
    total = hashlib.sha256(repr(data.class_names).encode())
    split_of, images = splits.of_each(), data.samples
    for index, (name, label) in enumerate(zip(images.names, images.labels.tolist(), strict=True)):
        total.update(repr((name, label, split_of[index])).encode())
        total.update(images.digest(index))
    return total.hexdigest()
