"""One list of labelled samples of any kind, loaded when asked for."""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graft.errors import GraftError

Indices = NDArray[np.int64]


class SampleError(GraftError):
    """A sample that cannot be used; the message names it in one line.

    A DataLoader raises a worker's exception anew with the worker's whole traceback as its message; what
    stands after this class's name there is the message that was meant.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message.strip().rpartition("SampleError: ")[2])


# What it was called when there were images alone.
ImageError = SampleError


class Samples:
    """One list of labelled samples.

    Args:
        names: one name a sample, unique and the same in every run: a path relative to the data's root, or
            a number such as `digits/0012`.
        labels: `(N,)` whole numbers, indices into the class names.
        load: index to the sample, as its kind has it; must be picklable to be sent to worker processes.
        content: index to the bytes that determine the sample.

    Raises:
        GraftError: there are not as many labels as names.
    """

    def __init__(
        self,
        names: Sequence[str],
        labels: Sequence[int] | Indices,
        load: Callable[..., Any],
        content: Callable[[int], bytes],
    ) -> None:
        self.names = list(names)
        self.labels: Indices = np.asarray(labels, dtype=np.int64).reshape(-1)
        self._load = load
        self._content = content
        self._digests: dict[int, bytes] = {}
        if len(self.labels) != len(self.names):
            raise GraftError(f"data: {len(self.names)} samples have {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Any:
        """The sample; as `read`."""
        return self.read(index)

    def read(self, index: int, at_least: int | None = None) -> Any:
        """The sample; of a kind that has sizes, smaller than it is where `at_least` is enough.

        Raises:
            SampleError: it cannot be read; the message names it.
        """
        try:
            return self._loaded(index, at_least)
        except SampleError as error:
            # A file's message holds its path already, which ends in the name.
            if self.names[index] in str(error):
                raise
            raise SampleError(f"{self.names[index]}: {error}") from error

    def _loaded(self, index: int, at_least: int | None) -> Any:
        return self._load(index)

    def relabelled(self, to: Indices) -> "Samples":
        """The same samples, label `i` replaced by `to[i]`."""
        return Samples(self.names, to[self.labels], self._load, self._content)

    def taken(self, order: Indices, labels: Indices) -> "Samples":
        """The samples of these indices `(M,)`, in their order, with labels `(M,)`."""
        names, load = [self.names[index] for index in order], partial(load_taken, self, order)
        return Samples(names, labels, load, partial(content_taken, self, order))

    def content(self, index: int) -> bytes:
        """The bytes that determine a sample.

        Raises:
            SampleError: they cannot be read.
        """
        return self._content(index)

    def digest(self, index: int) -> bytes:
        """SHA-256 of `content`, 32 bytes, computed once.

        Raises:
            SampleError: the sample cannot be read.
        """
        if index not in self._digests:
            self._digests[index] = hashlib.sha256(self.content(index)).digest()
        return self._digests[index]

    def identity(self, index: int) -> str:
        """The hexadecimal SHA-256 by which a sample is known wherever it lies: of a file, of its bytes.

        Raises:
            SampleError: the sample cannot be read.
        """
        return self.digest(index).hex()

    def loaders(self) -> list[Callable[..., Any]]:
        """The functions that turn content into samples, without the arguments that are bound to them."""
        if not isinstance(self._load, partial):
            return [self._load]
        if self._load.func is load_joined:
            return [function for part in self._load.args[0] for function in part.loaders()]
        if self._load.func is load_taken:
            return list(self._load.args[0].loaders())
        return [self._load.func]

    @classmethod
    def joined(cls, parts: Sequence["Samples"]) -> "Samples":
        """Several lists as one, in their order."""
        names, labels, ends = joined_names(parts)
        return Samples(names, labels, partial(load_joined, parts, ends), partial(content_joined, parts, ends))


def joined_names(parts: Sequence[Samples]) -> tuple[list[str], Indices, list[int]]:
    """Names and labels of several lists as one, and where in it each list ends."""
    labels = np.concatenate([part.labels for part in parts])
    ends = list(accumulate(len(part) for part in parts))
    return [name for part in parts for name in part.names], labels, ends


def locate(ends: list[int], index: int) -> tuple[int, int]:
    """The part that holds a sample of the joined list, and its index there."""
    part = bisect_right(ends, index)
    return part, index - (ends[part - 1] if part else 0)


def load_joined(parts: Sequence[Samples], ends: list[int], index: int, at_least: int | None = None) -> Any:
    """A sample of the joined list, by the part that holds it."""
    part, within = locate(ends, index)
    return parts[part].read(within, at_least)


def content_joined(parts: Sequence[Samples], ends: list[int], index: int) -> bytes:
    """Its content, likewise."""
    part, within = locate(ends, index)
    return parts[part].content(within)


def load_taken(samples: Samples, order: Indices, index: int, at_least: int | None = None) -> Any:
    """A sample of a list that others were taken from, by its place among these."""
    return samples.read(int(order[index]), at_least)


def content_taken(samples: Samples, order: Indices, index: int) -> bytes:
    """Its content, likewise."""
    return samples.content(int(order[index]))
