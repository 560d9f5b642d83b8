"""What a boundary tensor depends on, as a key: weights, structure, transform, precision, code.

The content of the image is not part of it: in an entry, tensors are found by that.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import PIL
import torch
import torchvision
from torch import Tensor, nn

from graft.backbones import Backbone
from graft.data import (
    Samples,
    crops,
    deep_images,
    image_transform,
    images,
    levels,
    loading,
    mel,
    randomness,
    sample_data,
    sounds,
    transforms,
)
from graft.features import extraction, fast
from graft.features.description import INTERNAL, Description, raw

# Their version stands for all their code.
VERSIONED = {"torch": torch, "torchvision": torchvision, "PIL": PIL, "numpy": np}
# What decodes, transforms and draws, whatever backbone and transform are chosen.
OWN_CODE = [sample_data, images, levels, deep_images, image_transform, crops, loading, randomness, transforms]
OWN_CODE += [mel, sounds, extraction, fast]
# Parts of a backbone that are left out: its stages have digests, and the others change nothing.
NO_PART = {*INTERNAL, "source_names", "dropped", "source_head", "pooling", "blocks"}
NO_PART |= {"splits", "rebuilt", "auxiliary"}


def boundary_key(stages: Sequence[str], around: str) -> str:
    """The key of the tensors that the stages of these digests make of images: 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps([*stages, around]).encode()).hexdigest()


def surroundings(
    backbone: Backbone,
    transform: object,
    how: Mapping[str, object],
    readers: Iterable[Callable[..., object]] = (),
) -> str:
    """SHA-256 over all that boundary tensors depend on beside the image and the stages."""
    outside = {key: value for key, value in vars(backbone).items() if key not in NO_PART}
    around = Description([type(backbone), outside, transform, list(readers), OWN_CODE], without=VERSIONED)
    versions = {name: package.__version__ for name, package in VERSIONED.items()}
    parts = [around.parts, around.sources(), dict(how), versions]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def stage_digest(stage: nn.Module) -> str:
    """SHA-256 over a stage's modules, their settings and code, and every parameter and buffer."""
    structure = Description(stage, without=VERSIONED)
    digest = hashlib.sha256(json.dumps([structure.parts, structure.sources()], sort_keys=True).encode())
    # Not the state dict, which leaves some buffers out.
    tensors: dict[str, Tensor] = {**dict(stage.named_parameters()), **dict(stage.named_buffers())}
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(raw(tensor))
    return digest.hexdigest()


def same_transform(first: object, second: object) -> bool:
    """Whether two transforms are made of the same parts with the same settings."""
    return Description(first).parts == Description(second).parts


def sample_ids(data: Samples, indices: Iterable[int], drawn: tuple[int, int] | None = None) -> list[bytes]:
    """32 bytes an image: the digest of its content, with seed and view of an augmentation where `drawn`."""
    digests = ((int(index), data.digest(int(index))) for index in indices)
    if drawn is None:
        return [digest for _, digest in digests]
    return [hashlib.sha256(digest + repr((*drawn, index)).encode()).digest() for index, digest in digests]
