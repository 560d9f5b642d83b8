"""From the `data` node of a configuration to images and their splits. Imports no torch of itself."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from graft.configuration.building import build
from graft.configuration.key_table import LOADING_KEYS, MOVABLE
from graft.data.headers import MOST, is_deep, said_of_several, some_of
from graft.data.image_samples import ImageSamples
from graft.data.images import read_values
from graft.data.levels import AllLevels, chosen_levels, find_levels
from graft.data.sample_data import SampleData
from graft.data.samples import Samples
from graft.data.splits import Splits, by_parts, split
from graft.errors import GraftError

# At most this many images are decoded to find out what their values are.
DECODED = 256


def open_data(data: Mapping[str, Any], model: AllLevels | None = None) -> SampleData:
    """Open the images that the `data` node names; which of them train is not decided here.

    Args:
        data: the node.
        model: what was black and white in images of more than 8 bits when a model was trained that sees these
            now; None: found from the images themselves, one rule for all.

    Raises:
        GraftError: there is nothing usable there.
    """
    source = {key: value for key, value in data.items() if key not in LOADING_KEYS}
    opened = build(source, "data")
    if not isinstance(opened, SampleData):
        raise GraftError(f"data: {data['_target_']} gave {type(opened).__name__}, not graft.data.SampleData")
    levels, several, notes = _looked_at(opened.parts.values(), model)
    opened = opened.levelled(levels, [*(f"warning: {note}" for note in several), *notes])
    if not (kept := data.get("keep_copies_together", False)):
        return opened
    # Imported here: it is slow, and seldom asked for.
    from graft.data.pictures import with_copies_known

    threads, folds = data.get("num_workers"), data.get("folds") is not None
    return with_copies_known(opened, near=kept != "exact", threads=threads, folds=folds)


def levelled(samples: Samples, model: AllLevels | None) -> tuple[Samples, list[str]]:
    """Samples that are no data set, image files among them read by levels; and what is to be said of them.

    Args:
        samples: of any kind.
        model: as `open_data`'s.
    """
    if not isinstance(samples, ImageSamples):
        return samples, []
    levels, several, notes = _looked_at([samples], model)
    return samples.levelled(levels), [*several, *notes]


def _looked_at(
    parts: Collection[Samples], model: AllLevels | None
) -> tuple[AllLevels | None, list[str], list[str]]:
    """Levels of the image files among samples; what is said of files of several pictures, and of levels."""
    files = [path for part in parts if isinstance(part, ImageSamples) for path in part.some_files(MOST)]
    levels, notes = levels_of(files, model)
    return levels, said_of_several(files, sum(len(part) for part in parts)), notes


def levels_of(files: Sequence[Path], model: AllLevels | None) -> tuple[AllLevels | None, list[str]]:
    """The levels to read image files by, one rule for all, and what is to be said of them.

    Args:
        files: some of the images. Where those of more than 8 bits are so few that none is among them, each of
            those is read by levels of its own.
        model: the levels of the model that is to see them, which go before; None: it has none.
    """
    deep = [path for path in files if is_deep(path)]
    return chosen_levels(find_levels(some_of(deep, DECODED), read_values), model)


def open_recorded(data: Mapping[str, Any], model: AllLevels | None = None) -> SampleData:
    """As `open_data`, of a `data` node that a run has recorded.

    Raises:
        GraftError: there is nothing usable there; says what to give if the images have moved.
    """
    try:
        return open_data(data, model)
    except GraftError as error:
        key = next((key for key in MOVABLE if isinstance(data.get(key.removeprefix("data.")), str)), None)
        if key is None:
            raise
        raise GraftError(f"{error}; if the images have moved, {key}=… says where they are") from error


def split_data(data: Mapping[str, Any], opened: SampleData) -> Splits:
    """Give every image its split, as the `data` node says; what a user's own node leaves out has defaults."""
    keys = ("val_fraction", "test_fraction", "test_seed", "folds", "fold", "shots", "fraction")
    return split(opened, **{key: data[key] for key in keys if key in data}, seed=data.get("split_seed", 0))


def split_or_parts(data: Mapping[str, Any], opened: SampleData) -> Splits:
    """As `split_data`; where that cannot be, the source's own parts, for what trains nothing."""
    try:
        return split_data(data, opened)
    except GraftError as error:
        return by_parts(opened, f"none: {error}")


def open_for_model(
    run: str, given: Mapping[str, Any] | None, recorded: Mapping[str, Any], levels: AllLevels | None
) -> tuple[Mapping[str, Any], SampleData]:
    """The images that a model is to see: those that are given, else those of its own run.

    Returns:
        The `data` node, and what it opens.

    Raises:
        GraftError: there is nothing usable there, or neither has a node.
    """
    if given:
        return given, open_data(given, levels)
    if recorded.get("data") is None:
        raise GraftError(f"run={run} is a bundle, which has no data of its own; give data=…")
    return recorded["data"], open_recorded(recorded["data"], levels)
