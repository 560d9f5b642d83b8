"""What a source of images returns: lists of labelled images, in the parts that the source itself makes."""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from graft.data.headers import some_of
from graft.data.images import ImageError, read_image, stored_mode, to_rgb
from graft.data.levels import AllLevels
from graft.data.together import joined
from graft.errors import GraftError

Indices = NDArray[np.int64]


class ImageSet:
    """One list of labelled images, decoded when asked for.

    Args:
        names: one name an image, unique and the same in every run: a path relative to the data's root, or
            a number such as `digits/0012`.
        labels: `(N,)` whole numbers, indices into the class names.
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
        self.names = list(names)
        self.labels: Indices = np.asarray(labels, dtype=np.int64).reshape(-1)
        self._load = load
        self._content = content
        self._digests: dict[int, bytes] = {}
        self._identities: dict[int, str] = {}
        self._load_smaller = load_smaller
        self._mode = mode
        self._root = root
        if len(self.labels) != len(self.names):
            raise GraftError(f"data: {len(self.names)} images have {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Image.Image:
        """The image as RGB; as `read`."""
        return self.read(index)

    def read(self, index: int, at_least: int | None = None) -> Image.Image:
        """The image as RGB, smaller than it is where `at_least` px of its shorter side are enough.

        Raises:
            ImageError: it cannot be read; the message names it.
        """
        try:
            if at_least is not None and self._load_smaller is not None:
                return to_rgb(self._load_smaller(index, at_least))
            return to_rgb(self._load(index))
        except ImageError as error:
            # A file's message holds its path already, which ends in the name.
            if self.names[index] in str(error):
                raise
            raise ImageError(f"{self.names[index]}: {error}") from error

    def relabelled(self, to: Indices) -> "ImageSet":
        """The same images, label `i` replaced by `to[i]`."""
        labels = to[self.labels]
        how = self._content, self._load_smaller, self._mode, self._root
        return ImageSet(self.names, labels, self._load, *how)

    def levelled(self, levels: AllLevels | None) -> "ImageSet":
        """The same images, files of more than 8 bits a value brought to 8 by `levels`."""
        return self if self._root is None else file_images(self._root, self.names, self.labels, levels)

    def some_files(self, most: int) -> list[Path]:
        """The paths of no more than `most` images, evenly spaced; none where they are no files."""
        return [] if self._root is None else [self._root / name for name in some_of(self.names, most)]

    def mode(self, index: int) -> str:
        """The mode that an image is stored in, such as L, CMYK or RGBA; `read` makes RGB of all.

        Raises:
            ImageError: the image cannot be read.
        """
        return self._mode(index) if self._mode else self._load(index).mode

    def content(self, index: int) -> bytes:
        """The bytes that determine an image: its file, its array or its pixels.

        Raises:
            ImageError: they cannot be read.
        """
        if self._content:
            return self._content(index)
        image = self[index]
        return image.tobytes() + repr(image.size).encode()

    def digest(self, index: int) -> bytes:
        """SHA-256 of `content`, 32 bytes, computed once.

        Raises:
            ImageError: the image cannot be read.
        """
        if index not in self._digests:
            self._digests[index] = hashlib.sha256(self.content(index)).digest()
        return self._digests[index]

    def identity(self, index: int) -> str:
        """As `ImageData.identity`."""
        if self._root is None:
            return self.digest(index).hex()
        if index not in self._identities:
            content = _file_content(self._root, self.names, None, index)
            self._identities[index] = hashlib.sha256(content).hexdigest()
        return self._identities[index]

    def loaders(self) -> list[Callable[..., Image.Image]]:
        """The functions that turn content into images, without the arguments that are bound to them."""
        if not isinstance(self._load, partial):
            return [self._load]
        if self._load.func is _load_joined:
            return [function for part in self._load.args[0] for function in part.loaders()]
        return [self._load.func]


@dataclass(frozen=True)
class ImageData:
    """All images of a task: what every data option's `_target_` returns, a user's own as well.

    A user's own dataset is a function, in a package of theirs, and a YAML file that names it::

        def slides(root: str) -> ImageData:
            paths = sorted(Path(root).rglob("*.png"))
            names = [path.relative_to(root).as_posix() for path in paths]
            labels = [int("tumour" in name) for name in names]
            return ImageData(["healthy", "tumour"], {"all": file_images(Path(root), names, labels)})

    Images that are no files: `array_images`, or an `ImageSet` with a function that loads one.

    Attributes:
        class_names: the C classes; a label is an index into them.
        parts: the source's own parts: some of "train", "val" and "test", or "all" alone.
        notes: what the source left out or found missing, a line each.
        groups: for each image, in the order of `images`, what it shares with others that no split may
            separate it from, such as a patient; None: every image stands alone.
        levels: which values are black and white in images of more than 8 bits; None: there are none, or
            each image has levels of its own.
        untrainable: why nothing can train on these images, though they may be tested; None where it can.
        pictures: `(N,)` for each image the picture that it shows, by the index of the first that shows it:
            copies show one. None: they were not looked for, or there are none.

    Raises:
        GraftError: the parts are others, a name occurs twice, a label is no class, there are no classes, or
            not as many groups as images.
    """

    class_names: list[str]
    parts: dict[str, ImageSet]
    notes: list[str] = field(default_factory=list)
    groups: list[str] | None = None
    levels: AllLevels | None = None
    untrainable: str | None = None
    pictures: Indices | None = None

    def __post_init__(self) -> None:
        if set(self.parts) != {"all"} and not set() < set(self.parts) <= {"train", "val", "test"}:
            raise GraftError(
                f"data: the parts are {', '.join(self.parts) or 'none'}; must be all, or train, val, test"
            )
        if not self.class_names:
            raise GraftError("data: there are no classes")
        if len(set(self.class_names)) < len(self.class_names):
            raise GraftError(f"data: a class name occurs twice: {', '.join(self.class_names)}")
        seen: set[str] = set()
        for name in (name for part in self.parts.values() for name in part.names):
            if name in seen:
                raise GraftError(f"data: two images are called {name}")
            seen.add(name)
        labels = self.images.labels
        if self.groups is not None and len(self.groups) != len(labels):
            raise GraftError(f"data: {len(labels)} images have {len(self.groups)} groups")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.class_names):
            raise GraftError(
                f"data: labels run from {labels.min()} to {labels.max()}, classes from 0 to "
                f"{len(self.class_names) - 1}"
            )

    def relabelled(self, to: Indices, class_names: list[str]) -> "ImageData":
        """The same images under other classes: label `i` becomes `to[i]`, an index into `class_names`."""
        parts = {name: part.relabelled(to) for name, part in self.parts.items()}
        return replace(self, class_names=class_names, parts=parts)

    def levelled(self, levels: AllLevels | None, notes: Sequence[str] = ()) -> "ImageData":
        """The same images, files of more than 8 bits a value brought to 8 by `levels`; `notes` say how."""
        parts = {name: part.levelled(levels) for name, part in self.parts.items()}
        return replace(self, parts=parts, notes=[*self.notes, *notes], levels=levels)

    def showing(self, pictures: Indices, notes: Sequence[str]) -> "ImageData":
        """The same images, and for each the picture that it shows, as in `pictures`; `notes` say so."""
        copies = bool((pictures != np.arange(len(pictures))).any())
        same = replace(self, pictures=pictures if copies else None, notes=[*self.notes, *notes])
        # With what is known of their content, which would be read again.
        same.__dict__["images"] = self.images
        return same

    @cached_property
    def together(self) -> list[str] | None:
        """For each image the name of what no split may divide: groups, and copies with what they join.

        None: every image stands alone.
        """
        return self.groups if self.pictures is None else joined(self.groups, self.pictures)

    def check_trainable(self) -> None:
        """Refuse to train on images that can only be tested.

        Raises:
            GraftError: nothing is there to learn from, or there is nothing to tell apart.
        """
        if self.untrainable:
            raise GraftError(self.untrainable)
        if not {"all", "train"} & set(self.parts):
            raise GraftError(f"data: {' and '.join(self.parts)} found, but no train to learn from")
        if len(self.class_names) < 2:
            raise GraftError(f"data: one class only, {self.class_names[0]}; to learn takes at least 2")

    def identity(self, index: int) -> str:
        """The hexadecimal SHA-256 by which an image is known wherever it lies: of a file, of its bytes.

        Raises:
            ImageError: the image cannot be read.
        """
        if self.levels is None:
            # The same value, which is usually known already.
            return self.images.digest(index).hex()
        parts = list(self.parts.values())
        part, within = _locate(list(accumulate(len(part) for part in parts)), index)
        return parts[part].identity(within)

    @cached_property
    def images(self) -> ImageSet:
        """All parts as one list, in the order of `parts`: splits and batches count images in this list."""
        parts = list(self.parts.values())
        ends = list(accumulate(len(part) for part in parts))
        return ImageSet(
            [name for part in parts for name in part.names],
            np.concatenate([part.labels for part in parts]),
            partial(_load_joined, parts, ends),
            partial(_content_joined, parts, ends),
            partial(_load_joined, parts, ends),
            partial(_mode_joined, parts, ends),
        )


def _locate(ends: list[int], index: int) -> tuple[int, int]:
    """The part that holds an image of the joined list, and its index there."""
    part = bisect_right(ends, index)
    return part, index - (ends[part - 1] if part else 0)


def _load_joined(
    parts: list[ImageSet], ends: list[int], index: int, at_least: int | None = None
) -> Image.Image:
    part, within = _locate(ends, index)
    return parts[part].read(within, at_least)


def _content_joined(parts: list[ImageSet], ends: list[int], index: int) -> bytes:
    part, within = _locate(ends, index)
    return parts[part].content(within)


def _mode_joined(parts: list[ImageSet], ends: list[int], index: int) -> str:
    part, within = _locate(ends, index)
    return parts[part].mode(within)


def file_images(
    root: Path, names: Sequence[str], labels: Sequence[int] | Indices, levels: AllLevels | None = None
) -> ImageSet:
    """Image files named by their path below `root`; those of more than 8 bits are read by `levels`."""
    names = list(names)
    load = partial(_load_file, root, names, levels)
    content, mode = partial(_file_content, root, names, levels), partial(_file_mode, root, names)
    return ImageSet(names, labels, load, content, load, mode, root)


def _load_file(
    root: Path, names: list[str], levels: AllLevels | None, index: int, at_least: int | None = None
) -> Image.Image:
    return read_image(root / names[index], at_least, levels)


def _file_content(root: Path, names: list[str], levels: AllLevels | None, index: int) -> bytes:
    try:
        # With the levels: other levels make another picture of the same bytes.
        return (root / names[index]).read_bytes() + (repr(levels).encode() if levels else b"")
    except OSError as error:
        raise ImageError(f"{root / names[index]}: cannot be read ({error.strerror})") from error


def _file_mode(root: Path, names: list[str], index: int) -> str:
    return stored_mode(root / names[index])


def array_images(
    names: Sequence[str], labels: Sequence[int] | Indices, pixels: NDArray[np.uint8]
) -> ImageSet:
    """Images held in memory: `(N, H, W)` grey or `(N, H, W, 3)` RGB, uint8."""
    return ImageSet(names, labels, partial(_load_array, pixels), partial(_array_content, pixels))


def _load_array(pixels: NDArray[np.uint8], index: int) -> Image.Image:
    return Image.fromarray(pixels[index])


def _array_content(pixels: NDArray[np.uint8], index: int) -> bytes:
    # With the shape: the same bytes may be another picture.
    content: bytes = pixels[index].tobytes() + repr(pixels[index].shape).encode()
    return content
