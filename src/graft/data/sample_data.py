"""What a source of data returns: lists of labelled samples, in the parts that the source itself makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate

import numpy as np

from graft.data.image_kind import IMAGES
from graft.data.image_samples import ImageSamples
from graft.data.kinds import Kind
from graft.data.levels import AllLevels
from graft.data.samples import Indices, Samples, locate
from graft.data.together import joined
from graft.errors import GraftError


@dataclass(frozen=True)
class SampleData:
    """All samples of a task: what every data option's `_target_` returns, a user's own as well.

    A user's own dataset is a function, in a package of theirs, and a YAML file that names it::

        def slides(root: str) -> SampleData:
            paths = sorted(Path(root).rglob("*.png"))
            names = [path.relative_to(root).as_posix() for path in paths]
            labels = [int("tumour" in name) for name in names]
            return SampleData(["healthy", "tumour"], {"all": file_images(Path(root), names, labels)})

    Images that are no files: `array_images`, or `ImageSamples` with a function that loads one; samples of
    other kinds: `Samples`, and `kind`.

    Attributes:
        class_names: the C classes; a label is an index into them.
        parts: the source's own parts: some of "train", "val" and "test", or "all" alone.
        notes: what the source left out or found missing, a line each.
        groups: for each image, in the order of `samples`, what it shares with others that no split may
            separate it from, such as a patient; None: every image stands alone.
        levels: which values are black and white in images of more than 8 bits; None: there are none, or
            each image has levels of its own.
        untrainable: why nothing can train on these images, though they may be tested; None where it can.
        pictures: `(N,)` for each image the picture that it shows, by the index of the first that shows it:
            copies show one. None: they were not looked for, or there are none.
        kind: of the samples.
        labelled: whether labels say anything. Where not, there is one class, of no meaning.

    Raises:
        GraftError: the parts are others, a name occurs twice, a label is no class, there are no classes, or
            not as many groups as images.
    """

    class_names: list[str]
    parts: Mapping[str, Samples]
    notes: list[str] = field(default_factory=list)
    groups: list[str] | None = None
    levels: AllLevels | None = None
    untrainable: str | None = None
    pictures: Indices | None = None
    kind: Kind = IMAGES
    labelled: bool = True

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
                raise GraftError(f"data: two {self.kind.plural} are called {name}")
            seen.add(name)
        labels = self.samples.labels
        if self.groups is not None and len(self.groups) != len(labels):
            raise GraftError(f"data: {len(labels)} {self.kind.plural} have {len(self.groups)} groups")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.class_names):
            raise GraftError(
                f"data: labels run from {labels.min()} to {labels.max()}, classes from 0 to "
                f"{len(self.class_names) - 1}"
            )

    def relabelled(self, to: Indices, class_names: list[str]) -> "SampleData":
        """The same images under other classes: label `i` becomes `to[i]`, an index into `class_names`."""
        parts = {name: part.relabelled(to) for name, part in self.parts.items()}
        return replace(self, class_names=class_names, parts=parts)

    def levelled(self, levels: AllLevels | None, notes: Sequence[str] = ()) -> "SampleData":
        """The same images, files of more than 8 bits a value brought to 8 by `levels`; `notes` say how."""
        parts = {
            name: part.levelled(levels) if isinstance(part, ImageSamples) else part
            for name, part in self.parts.items()
        }
        return replace(self, parts=parts, notes=[*self.notes, *notes], levels=levels)

    def showing(self, pictures: Indices, notes: Sequence[str]) -> "SampleData":
        """The same images, and for each the picture that it shows, as in `pictures`; `notes` say so."""
        copies = bool((pictures != np.arange(len(pictures))).any())
        same = replace(self, pictures=pictures if copies else None, notes=[*self.notes, *notes])
        # With what is known of their content, which would be read again.
        same.__dict__["samples"] = self.samples
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
            SampleError: the image cannot be read.
        """
        if self.levels is None:
            # The same value, which is usually known already.
            return self.samples.digest(index).hex()
        parts = list(self.parts.values())
        part, within = locate(list(accumulate(len(part) for part in parts)), index)
        return parts[part].identity(within)

    @cached_property
    def samples(self) -> Samples:
        """All parts as one list, in the order of `parts`: splits and batches count images in this list."""
        parts = list(self.parts.values())
        return type(parts[0]).joined(parts)


# What it was called when there were images alone; data sets of people's own name it.
ImageData = SampleData
