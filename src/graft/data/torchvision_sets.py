"""Data sets that torchvision knows, in their official parts, which are never merged."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from graft.data.image_data import ImageData, ImageSet
from graft.errors import GraftError, did_you_mean

# Name to torchvision's class and, for each of our parts, the arguments that select it.
SETS: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "cifar10": ("CIFAR10", {"train": {"train": True}, "test": {"train": False}}),
    "cifar100": ("CIFAR100", {"train": {"train": True}, "test": {"train": False}}),
    "fashion_mnist": ("FashionMNIST", {"train": {"train": True}, "test": {"train": False}}),
    "flowers102": ("Flowers102", {part: {"split": part} for part in ("train", "val", "test")}),
    "oxford_pets": ("OxfordIIITPet", {"train": {"split": "trainval"}, "test": {"split": "test"}}),
    "eurosat": ("EuroSAT", {"all": {}}),
}


def torchvision_set(name: str, root: str, download: bool = True) -> ImageData:
    """One of `SETS`.

    Args:
        name: which.
        root: folder that holds it, or that it is downloaded to.
        download: fetch it where it is missing.

    Raises:
        GraftError: it is unknown, or neither there nor to be had.
    """
    from torchvision import datasets

    if name not in SETS:
        raise GraftError(f"data.name={name}: no such set{did_you_mean(name, SETS)}; there are {', '.join(SETS)}")
    kind, selections = SETS[name]
    folder = Path(root).expanduser()
    opened = {part: _open(getattr(datasets, kind), folder, name, own, download) for part, own in selections.items()}
    first = next(iter(opened.values()))
    parts = {}
    for part, data in opened.items():
        names = [f"{part}/{index:05d}" for index in range(len(data))]
        parts[part] = ImageSet(names, _labels(data), partial(_image, data))
    classes = getattr(first, "classes", None) or [f"class {label}" for label in sorted(set(_labels(first)))]
    return ImageData([str(word) for word in classes], parts)


def _open(kind: Any, folder: Path, name: str, own: dict[str, Any], download: bool) -> Any:
    try:
        return kind(str(folder), **own, download=False)
    except RuntimeError:
        if not download:
            raise GraftError(f"data={name} is not in data.root={folder} and data.download=false") from None
    try:
        return kind(str(folder), **own, download=True)
    # Everything between here and the server can fail, each in its own way.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise GraftError(
            f"data={name} is not in data.root={folder} and could not be fetched ({reason}); "
            "put it there, or give data.root=<folder that has it>"
        ) from error


def _labels(data: Any) -> list[int]:
    """Labels without decoding an image; torchvision keeps them under several names."""
    labels = next(getattr(data, key) for key in ("targets", "_labels", "labels") if hasattr(data, key))
    return [int(label) for label in np.asarray(labels)]


def _image(data: Any, index: int) -> Image.Image:
    image: Image.Image = data[index][0]
    return image
