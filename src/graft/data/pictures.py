"""Which images show the same picture, so that no split that is drawn has copies on two sides."""

import hashlib
from collections.abc import Sequence
from functools import partial
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np

from graft.data import copies
from graft.data.copies import connected, exact_copies, near_copies
from graft.data.kept_bytes import keep, read
from graft.data.kept_looks import code_version, contents, kept_looks
from graft.data.kinds import AnyLook
from graft.data.looks import in_threads
from graft.data.progress import progress
from graft.data.sample_data import SampleData
from graft.data.samples import Indices

# Bits of 64 in which the perceptual hashes of near copies may differ: what `graft inspect` ships with.
NEAR = 4


def with_copies_known(
    data: SampleData, *, near: bool = True, threads: int | None = None, folds: bool = False
) -> SampleData:
    """The same images, and for each the picture that it shows; notes say how many have copies.

    Reads every file, and decodes those that were never looked at.

    Args:
        data: the images.
        near: whether what was scaled or compressed anew is a copy too; else only what agrees in every pixel.
        threads: as `looks.in_threads`.
        folds: whether the parts are cut into folds; then what the source's own parts share is of no account,
            because only what is cut is tested.
    """
    pictures = _pictures(data, near, threads)
    _, counts = np.unique(pictures, return_counts=True)
    several = counts[counts > 1]
    if not len(several):
        return data.showing(
            pictures, [f"no {data.kind.noun} is a copy of another, so nothing has to be kept together"]
        )
    shown = "1 picture" if len(several) == 1 else f"{len(several):,} pictures"
    notes = [
        f"{several.sum():,} {data.kind.plural} are copies, of {shown}; no split that is drawn parts them"
    ]
    return data.showing(pictures, notes if folds else [*notes, *_shared(data, pictures)])


def _pictures(data: SampleData, near: bool, threads: int | None) -> Indices:
    """`(N,)` for each image the index of the first that shows the same picture.

    What was found is kept for the same images in the same order: to compare 60,000 takes a core a minute.
    """
    if not data.kind.near:
        look = partial(data.kind.look, data.samples)
        return _alike(in_threads(look, range(len(data.samples)), threads, lambda done: None))
    code = code_version() + Path(copies.__file__).read_bytes()
    with progress(len(data.samples)) as report:
        found = hashlib.sha256(code + f"{near} {NEAR}".encode())
        for content in contents(data.samples, threads, report):
            found.update(content if isinstance(content, bytes) else bytes(32))
        key = found.digest()
        if (kept := read([key]).get(key)) is not None:
            return np.frombuffer(kept, "<i8").astype(np.int64)
        looks = kept_looks(data.samples, threads, report)
        sets = exact_copies(looks)
        if near:
            sets += near_copies(looks, NEAR, lambda done: report("compared", done))
    pictures = np.arange(len(looks))
    for members in connected([pair for same in sets for pair in pairwise(same)]):
        pictures[members] = members[0]
    keep({key: pictures.astype("<i8").tobytes()})
    return pictures


def _alike(looks: Sequence[AnyLook | str]) -> Indices:
    """`(N,)` for each sample the first that is the same to a network; what cannot be read stands alone."""
    first: dict[bytes, int] = {}
    places = [
        index if isinstance(look, str) else first.setdefault(look.digest, index)
        for index, look in enumerate(looks)
    ]
    return np.array(places, np.int64)


def _shared(data: SampleData, pictures: Indices) -> list[str]:
    """A warning for each two of the source's own parts that share pictures, so that a number is flattered."""
    ends = np.cumsum([len(part) for part in data.parts.values()])
    parts = dict(zip(data.parts, np.split(pictures, ends[:-1]), strict=True))
    of_parts = [part for part in ("train", "val", "test") if part in parts]
    warnings = []
    for earlier, later in combinations(of_parts, 2):
        if count := int(np.isin(parts[later], parts[earlier]).sum()):
            noun, plural = data.kind.noun, data.kind.plural
            how = f"1 {noun} of {{}} has a copy" if count == 1 else f"{count:,} {plural} of {{}} have copies"
            warnings.append(f"warning: {how.format(later)} in {earlier}")
    return warnings
