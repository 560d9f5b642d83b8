"""Labelled images: what images know beside what every sample does, and the two ways in which they come."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from graft.data.headers import some_of
from graft.data.images import read_image, stored_mode, to_rgb
from graft.data.levels import AllLevels
from graft.data.samples import (
    Indices,
    SampleError,
    Samples,
    content_joined,
    content_taken,
    joined_names,
    load_joined,
    load_taken,
    locate,
)


class ImageSamples(Samples):
    """One list of labelled images, decoded when asked for.

    Args:
        names: as `Samples`'.
        labels: `(N,)`, as `Samples`'.
        load: index to image, of any mode; must be picklable to be sent to worker processes.
        content: index to the bytes that determine the image; None: the pixels that `load` gives.
        load_smaller: as `load`, with the shorter side that is enough, px, as a second argument; None: `load`
            does.
        mode: index to Pillow's name of the mode that the image is stored in; None: that of what `load` gives.
        root: the folder that the names are paths below, where the images are files.

    Raises:
        GraftError: there are not as many labels as names.
    """

    def __init__(
        self,
        names: Sequence[str],
        labels: Sequence[int] | Indices,
        load: Callable[[int], Image.Image],
        content: Callable[[int], bytes] | None = None,
        load_smaller: Callable[[int, int], Image.Image] | None = None,
        mode: Callable[[int], str] | None = None,
        root: Path | None = None,
    ) -> None:
        super().__init__(names, labels, load, content or self._pixels)
        self._given_content = content
        self._load_smaller = load_smaller
        self._mode = mode
        self._root = root
        self._identities: dict[int, str] = {}

    def _loaded(self, index: int, at_least: int | None) -> Image.Image:
        """As RGB."""
        if at_least is not None and self._load_smaller is not None:
            return to_rgb(self._load_smaller(index, at_least))
        return to_rgb(self._load(index))

    def _pixels(self, index: int) -> bytes:
        image = self[index]
        content: bytes = image.tobytes() + repr(image.size).encode()
        return content

    def relabelled(self, to: Indices) -> "ImageSamples":
        """The same images, label `i` replaced by `to[i]`."""
        how = self._given_content, self._load_smaller, self._mode, self._root
        return ImageSamples(self.names, to[self.labels], self._load, *how)

    def taken(self, order: Indices, labels: Indices) -> "ImageSamples":
        """As `Samples.taken`; they are named anew, so they are files no longer."""
        names, load = [self.names[index] for index in order], partial(load_taken, self, order)
        content, mode = partial(content_taken, self, order), partial(_mode_taken, self, order)
        return ImageSamples(names, labels, load, content, load, mode)

    def levelled(self, levels: AllLevels | None) -> "ImageSamples":
        """The same images, files of more than 8 bits a value brought to 8 by `levels`."""
        return self if self._root is None else file_images(self._root, self.names, self.labels, levels)

    def some_files(self, most: int) -> list[Path]:
        """The paths of no more than `most` images, evenly spaced; none where they are no files."""
        return [] if self._root is None else [self._root / name for name in some_of(self.names, most)]

    def file(self, index: int) -> Path | None:
        """The path of an image; None where it is no file."""
        return None if self._root is None else self._root / self.names[index]

    def mode(self, index: int) -> str:
        """The mode that an image is stored in, such as L, CMYK or RGBA; `read` makes RGB of all.

        Raises:
            SampleError: the image cannot be read.
        """
        return self._mode(index) if self._mode else self._load(index).mode

    def identity(self, index: int) -> str:
        """As `Samples.identity`; of a file it does not change with levels."""
        if self._root is None:
            return super().identity(index)
        if index not in self._identities:
            content = _file_content(self._root, self.names, None, index)
            self._identities[index] = hashlib.sha256(content).hexdigest()
        return self._identities[index]

    @classmethod
    def joined(cls, parts: Sequence[Samples]) -> "ImageSamples":
        """As `Samples.joined`."""
        names, labels, ends = joined_names(parts)
        load, content = partial(load_joined, parts, ends), partial(content_joined, parts, ends)
        return ImageSamples(names, labels, load, content, load, partial(_mode_joined, parts, ends))


# What it was called when there were images alone; data sets of people's own name it.
ImageSet = ImageSamples


def _mode_joined(parts: Sequence[Samples], ends: list[int], index: int) -> str:
    part, within = locate(ends, index)
    held = parts[part]
    assert isinstance(held, ImageSamples)
    return held.mode(within)


def _mode_taken(samples: ImageSamples, order: Indices, index: int) -> str:
    return samples.mode(int(order[index]))


def file_images(
    root: Path, names: Sequence[str], labels: Sequence[int] | Indices, levels: AllLevels | None = None
) -> ImageSamples:
    """Image files named by their path below `root`; those of more than 8 bits are read by `levels`."""
    names = list(names)
    load = partial(_load_file, root, names, levels)
    content, mode = partial(_file_content, root, names, levels), partial(_file_mode, root, names)
    return ImageSamples(names, labels, load, content, load, mode, root)


def _load_file(
    root: Path, names: list[str], levels: AllLevels | None, index: int, at_least: int | None = None
) -> Image.Image:
    return read_image(root / names[index], at_least, levels)


def _file_content(root: Path, names: list[str], levels: AllLevels | None, index: int) -> bytes:
    try:
        # With the levels: other levels make another picture of the same bytes.
        return (root / names[index]).read_bytes() + (repr(levels).encode() if levels else b"")
    except OSError as error:
        raise SampleError(f"{root / names[index]}: cannot be read ({error.strerror})") from error


def _file_mode(root: Path, names: list[str], index: int) -> str:
    return stored_mode(root / names[index])


def array_images(
    names: Sequence[str], labels: Sequence[int] | Indices, pixels: NDArray[np.uint8]
) -> ImageSamples:
    """Images held in memory: `(N, H, W)` grey or `(N, H, W, 3)` RGB, uint8."""
    return ImageSamples(names, labels, partial(_load_array, pixels), partial(_array_content, pixels))


def _load_array(pixels: NDArray[np.uint8], index: int) -> Image.Image:
    return Image.fromarray(pixels[index])


def _array_content(pixels: NDArray[np.uint8], index: int) -> bytes:
    # With the shape: the same bytes may be another picture.
    content: bytes = pixels[index].tobytes() + repr(pixels[index].shape).encode()
    return content
