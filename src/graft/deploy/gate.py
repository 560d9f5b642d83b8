"""The gate of an export: its script says of real images what the run says, or there is no export."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from graft.data.images import read_image
from graft.data.samples import SampleError
from graft.deploy.closed import Said, run_closed
from graft.errors import GraftError
from graft.models.bundle import Bundle
from graft.processes.host import plain_torch
from graft.sources.opening import levels_of

# Most that a logit may differ by.
TOLERANCE = 1e-4
# A file whose batch size is fixed, or whose answers depend on it, shows in these.
BATCH_SIZES = (1, 5, 32)
# Images that are compared, where there are so many.
IMAGES = 256


class Reference(NamedTuple):
    """What the run says of N images that can be read: their paths, the classes, logits `(N, C)`."""

    names: list[str]
    labels: list[str]
    logits: NDArray[np.float32]


class Passed(NamedTuple):
    """What the gate found: how many images, and by batch size the largest difference of a logit."""

    images: int
    differences: dict[int, float]


def reference(bundle: Bundle, images: Sequence[str], most: int = IMAGES) -> Reference:
    """What a bundle says of image files, opened and prepared as by `graft predict`, on the CPU.

    Args:
        bundle: the run's.
        images: paths; of those that can be read, the first.
        most: so many.

    Raises:
        GraftError: none can be read.
    """
    levels, _ = levels_of([Path(name) for name in images[:most]], bundle.levels)
    size = bundle.tested.batch_size
    names: list[str] = []
    logits: list[NDArray[np.float32]] = []
    prepared: list[object] = []

    def answer() -> None:
        logits.append(bundle.passed(bundle.finished(prepared))[1].numpy())
        prepared.clear()

    with plain_torch(), torch.inference_mode():
        for name in images:
            if len(names) == most:
                break
            try:
                prepared.append(bundle.transform.prepare(read_image(Path(name), levels=levels)))
            except SampleError:
                continue
            names.append(name)
            if len(prepared) == size:
                answer()
        if prepared:
            answer()
    if not names:
        raise GraftError(f"none of the {len(images)} images to check with could be read")
    whole = np.concatenate(logits)
    return Reference(names, [bundle.class_names[place] for place in whole.argmax(1)], whole)


def pass_gate(folder: Path, form: str, known: Reference) -> Passed:
    """Compare what the folder's `predict.py` says with what the run says, at several batch sizes.

    Raises:
        GraftError: they part; says where.
    """
    differences = {}
    for size in BATCH_SIZES:
        said = run_closed(folder, form, known.names, size)
        differences[size] = _compare(known, said, size)
    return Passed(len(known.names), differences)


def _compare(known: Reference, said: Said, size: int) -> float:
    if said.names != known.names:
        apart = next(iter(set(known.names) ^ set(said.names)), known.names[0])
        raise GraftError(f"the export is refused: at batch size {size} {apart} is read by one side alone")
    apart = np.abs(said.logits - known.logits).max(1)
    # What is no number is no small one.
    apart = np.nan_to_num(apart, nan=np.inf)
    other = [mine != its for mine, its in zip(known.labels, said.labels, strict=True)]
    if any(other) or apart.max() > TOLERANCE:
        worst = other.index(True) if any(other) else int(apart.argmax())
        raise GraftError(
            f"the export is refused: at batch size {size} of {known.names[worst]} the run says "
            f"{known.labels[worst]} and the export {said.labels[worst]}, with logits up to "
            f"{apart[worst]:.2g} apart, not {TOLERANCE:g} at most; {sum(other)} of {len(other)} classes "
            "differ"
        )
    return float(apart.max())
