"""A safetensors file that is written batch by batch, so that what does not fit the memory fits the disk.

The format (github.com/huggingface/safetensors): 8 bytes that say how long the header is, the header as JSON,
the values. Count, shape and type are known with the first batch, and so is the whole header.
"""

import json
import math
import shutil
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

from torch import Tensor

from graft.configuration.plain_text import encodable
from graft.errors import GraftError
from graft.features.folder import sized
from graft.runs.files import whole

# Bytes of the number in front, and of what the header is filled up to a multiple of.
WORD = 8


def write_tensor(
    path: Path, name: str, count: int, batches: Iterable[Tensor], about: Mapping[str, str]
) -> tuple[int, ...]:
    """Write one tensor, `(count, …)` float32, from batches `(B, …)`; holds a few of them at a time.

    Args:
        path: the file; it is there whole or not at all.
        name: of the tensor.
        count: how many rows the batches have together, at least one.
        batches: of one shape.
        about: further texts that the header has.

    Returns:
        The shape of a row.

    Raises:
        GraftError: the disk has less room than that.
    """
    rest = iter(batches)
    first = next(rest)
    shape = tuple(first.shape[1:])
    size = count * math.prod(shape) * 4
    with whole(path) as part, part.open("wb") as file:
        if (free := shutil.disk_usage(part.parent).free) < size:
            raise GraftError(f"{path}: {sized(size)} are needed, but the disk has {sized(free)} left")
        file.write(_header(name, (count, *shape), size, about))
        written = 0
        for batch in chain([first], rest):
            file.write(batch.detach().float().cpu().contiguous().numpy().astype("<f4", copy=False).data)
            written += len(batch)
        assert written == count
    return shape


def _header(name: str, shape: tuple[int, ...], size: int, about: Mapping[str, str]) -> bytes:
    entry = {"dtype": "F32", "shape": list(shape), "data_offsets": [0, size]}
    metadata = {key: encodable(value) for key, value in about.items()}
    text = json.dumps({"__metadata__": metadata, name: entry}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % WORD)
    return len(text).to_bytes(WORD, "little") + text
