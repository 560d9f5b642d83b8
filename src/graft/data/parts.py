"""The parts that folders and manifests speak of, and how their class names become indices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from graft.data.image_data import ImageData, file_images
from graft.errors import GraftError

# What a folder or a cell of a manifest may be called, and the part it means.
PART_WORDS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class NamedImages:
    """Image files of one part, the class of each by name, and its group where there are groups."""

    names: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)


def number_classes(
    source: str, root: Path, parts: Mapping[str, NamedImages], notes: Sequence[str] = ()
) -> ImageData:
    """Give every class its index, in the sorted order of the training part's names.

    Args:
        source: the configuration key and value that the images come from, for messages.
        root: the folder that the names are relative to.
        parts: "train" and perhaps "val" and "test", or "all" alone.
        notes: what the source left out.

    Raises:
        GraftError: no training part, no images, one class only, or a class that the training part lacks.
    """
    if "all" not in parts and "train" not in parts:
        raise GraftError(
            f"{source}: {' and '.join(parts)} found, but no train; a model needs something to learn from"
        )
    fixed = "all" if "all" in parts else "train"
    class_names = sorted(set(parts[fixed].classes))
    if not class_names:
        raise GraftError(f"{source}: no images found")
    if len(class_names) == 1:
        raise GraftError(f"{source}: one class only, {class_names[0]}; it takes at least 2")
    found = list(notes)
    for part, images in parts.items():
        for name in sorted(set(images.classes) - set(class_names)):
            raise GraftError(f"{source}: {part} holds a class that train lacks: {name}")
        if missing := sorted(set(class_names) - set(images.classes)):
            found.append(f"{part} has no images of {', '.join(missing)}")
    index_of = {name: index for index, name in enumerate(class_names)}
    return ImageData(
        class_names,
        {
            part: file_images(root, images.names, [index_of[name] for name in images.classes])
            for part, images in parts.items()
        },
        found,
        [group for images in parts.values() for group in images.groups] or None,
    )
