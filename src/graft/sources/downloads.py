"""Well-known data sets through torchvision, with the splits their authors made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from graft.configuration.paths import expanded
from graft.data.image_samples import array_images, file_images
from graft.data.sample_data import SampleData
from graft.data.samples import Samples
from graft.errors import GraftError, did_you_mean

# Each opens torchvision's class with its own words for the splits; labels are read without decoding images.
Opener = Callable[[Any, Path, bool], SampleData]


def torchvision_data(name: str, root: str, download: bool = True) -> SampleData:
    """A data set that torchvision knows, in its official parts.

    Args:
        name: cifar10, cifar100, fashion_mnist (train, test), flowers102 (train, val, test), oxford_pets
            (train, test) or eurosat (all).
        root: the folder that holds it, or that it is downloaded into.
        download: fetch what is missing below `root`.

    Raises:
        GraftError: the name is unknown, or the data is not there and could not be fetched.
    """
    if name not in _OPENERS:
        known = ", ".join(_OPENERS)
        raise GraftError(
            f"data.name={name}: no such data set{did_you_mean(name, _OPENERS)}; there are {known}"
        )
    from torchvision import datasets

    folder = expanded(root)
    class_name, opener = _OPENERS[name]
    try:
        return opener(getattr(datasets, class_name), folder, download)
    # RuntimeError is how torchvision says that a file is missing or damaged.
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        done = "could not be fetched" if download else "is not there, and data.download is false"
        raise GraftError(
            f"data={name}: {done} ({reason}); put it below {folder}, or say with data.root=FOLDER where it is"
        ) from error


def _arrays(data_set: Any, folder: Path, download: bool) -> SampleData:
    """CIFAR and Fashion-MNIST: small enough to be held in memory."""
    sets = {part: data_set(folder, train=part == "train", download=download) for part in ("train", "test")}
    parts = {}
    for part, images in sets.items():
        names = [f"{part}/{index:05d}" for index in range(len(images.targets))]
        # An ndarray in CIFAR, a tensor in MNIST.
        pixels = images.data if hasattr(images.data, "astype") else images.data.numpy()
        parts[part] = array_images(names, [int(target) for target in images.targets], pixels)
    return SampleData(list(sets["train"].classes), parts)


def _flowers(data_set: Any, folder: Path, download: bool) -> SampleData:
    sets = {part: data_set(folder, split=part, download=download) for part in ("train", "val", "test")}
    parts = {part: _files(images._image_files, images._labels, folder) for part, images in sets.items()}
    return SampleData(list(data_set.classes), parts)


def _pets(data_set: Any, folder: Path, download: bool) -> SampleData:
    sets = {
        part: data_set(folder, split=word, download=download)
        for part, word in (("train", "trainval"), ("test", "test"))
    }
    parts = {part: _files(images._images, images._labels, folder) for part, images in sets.items()}
    return SampleData(list(sets["train"].classes), parts)


def _eurosat(data_set: Any, folder: Path, download: bool) -> SampleData:
    images = data_set(folder, download=download)
    return SampleData(
        list(images.classes), {"all": _files([path for path, _ in images.samples], images.targets, folder)}
    )


def _files(paths: list[str | Path], labels: list[int], folder: Path) -> Samples:
    return file_images(folder, [Path(path).relative_to(folder).as_posix() for path in paths], labels)


_OPENERS: dict[str, tuple[str, Opener]] = {
    "cifar10": ("CIFAR10", _arrays),
    "cifar100": ("CIFAR100", _arrays),
    "fashion_mnist": ("FashionMNIST", _arrays),
    "flowers102": ("Flowers102", _flowers),
    "oxford_pets": ("OxfordIIITPet", _pets),
    "eurosat": ("EuroSAT", _eurosat),
}
