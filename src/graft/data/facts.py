"""What the data tells the model and the record: class names, counts, a fingerprint."""

import hashlib
from dataclasses import dataclass

import numpy as np

from graft.data.splits import SPLITS, Division

# Images whose bytes go into the fingerprint: enough to notice other data, few enough for huge folders.
SAMPLED = 1000


@dataclass(frozen=True)
class DataFacts:
    """What is known of the data once it is divided.

    Attributes:
        class_names: the C classes, in the order of the labels.
        channels: of every image as it is given to the network; always 3.
        counts: split to class name to number of images.
        fingerprint: sha256 over names, labels, splits and the bytes of up to 1,000 images spread evenly. Equal
            for equal data; a change to one image of a larger set may escape it.
    """

    class_names: list[str]
    channels: int
    counts: dict[str, dict[str, int]]
    fingerprint: str

    @classmethod
    def of(cls, division: Division) -> "DataFacts":
        """Look at a division."""
        names, labels = division.data.class_names, division.data.images.labels
        counts = {}
        for split in SPLITS:
            numbers = np.bincount(labels[division.indices(split)], minlength=len(names))
            counts[split] = dict(zip(names, numbers.tolist(), strict=True))
        return cls(list(names), 3, counts, _fingerprint(division))


def _fingerprint(division: Division) -> str:
    images = division.data.images
    digest = hashlib.sha256()
    for row in division.rows():
        digest.update("\0".join(row.values()).encode() + b"\n")
    for index in np.unique(np.linspace(0, len(images) - 1, SAMPLED).astype(int)):
        digest.update(hashlib.sha256(images.content(int(index))).digest())
    return digest.hexdigest()
