"""Real images as files, for what runs an export's script: those of a folder, or the run's own."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

from graft.data import SampleData, Splits, split_from_rows
from graft.data.headers import some_of
from graft.data.image_samples import ImageSamples
from graft.data.model_classes import in_order_of
from graft.data.samples import SampleError, locate
from graft.errors import GraftError
from graft.models.bundle import Bundle
from graft.runs import RunFolder
from graft.runs.files import read_csv
from graft.runs.recorded import trusted_config
from graft.sources import find_images
from graft.sources.opening import open_for_model, split_or_parts
from graft.sources.recognition import anywhere

Item = TypeVar("Item")


def to_compare(config: Mapping[str, Any], bundle: Bundle, most: int, scratch: Path) -> list[str]:
    """The paths of images to compare by: `source`, else the run's data or what is given in its place.

    `most` of them, evenly spaced, come first, and the others, where they are files, for those that cannot be
    read.

    Args:
        config: of the command.
        bundle: of the run.
        most: as above.
        scratch: a folder for the images that are no files.

    Raises:
        GraftError: there are none.
    """
    if config["source"] is not None:
        return spaced([str(path) for path in find_images(config["source"]).files], most)
    data = opened(config, bundle)[1]
    order = spaced(range(len(data.samples)), most)
    return [
        *files_of(data, order[:most], scratch).values(),
        *files_of(data, order[most:], None).values(),
    ]


def opened(config: Mapping[str, Any], bundle: Bundle) -> tuple[Mapping[str, Any], SampleData]:
    """The `data` node that is given, else the run's own, and what it opens.

    Raises:
        GraftError: there is none, or what it has are no images.
    """
    saved = trusted_config(config["run"], config["trust"])
    if config.get("data") is None and saved.get("data") is None:
        none = "is a bundle, which has no images to check the export with"
        raise GraftError(f"run={config['run']} {none}; give source=…")
    node, data = open_for_model(config["run"], config.get("data"), saved, bundle.levels)
    if data.kind.noun != bundle.kind.noun:
        raise GraftError(f"data: it has {data.kind.plural}, and the model takes {bundle.kind.plural}")
    return node, data


def with_splits(config: Mapping[str, Any], bundle: Bundle) -> tuple[SampleData, Splits]:
    """The images as `opened`, labelled by the model's classes, and what each of them is for.

    Raises:
        GraftError: as `opened`, or they are not those that the run recorded, or of other classes.
    """
    node, found = opened(config, bundle)
    data, folder = in_order_of(found, bundle.class_names), RunFolder(config["run"])
    if config.get("data") is None:
        return data, split_from_rows(read_csv(folder.split), data, str(folder.split))
    return data, anywhere(folder, data, bundle.seen, lambda: split_or_parts(node, data)).splits


def files_of(data: SampleData, indices: Iterable[int], scratch: Path | None) -> dict[int, str]:
    """The paths of images by their index; what is no file is written to `scratch` as PNG, without loss.

    Without a scratch folder, and where they cannot be read, those are left out.
    """
    parts = list(data.parts.values())
    ends = list(accumulate(len(part) for part in parts))
    files: dict[int, str] = {}
    for index in map(int, indices):
        part, within = locate(ends, index)
        held = parts[part]
        file = held.file(within) if isinstance(held, ImageSamples) else None
        if file is not None:
            files[index] = str(file)
        elif scratch is not None:
            with suppress(SampleError):
                target = scratch / f"{index:07d}.png"
                data.samples[index].save(target, compress_level=1)
                files[index] = str(target)
    return files


def spaced(items: Sequence[Item], most: int) -> list[Item]:
    """All of some things, `most` evenly spaced ones first."""
    places = some_of(range(len(items)), most)
    first = set(places)
    return [items[place] for place in (*places, *(i for i in range(len(items)) if i not in first))]
